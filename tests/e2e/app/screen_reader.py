"""What a screen reader finds in Satchel's window: one line `ROLE | NAME | DESCRIPTION` each, over AT-SPI.

Needs PyGObject, so it runs under the system's Python.
"""

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi  # noqa: E402 - after its version is chosen


def walk(node, depth=0):
    if node is None or depth > 30:
        return
    print(node.get_role_name(), "|", node.get_name(), "|", node.get_description())
    for number in range(node.get_child_count()):
        walk(node.get_child_at_index(number), depth + 1)


desktop = Atspi.get_desktop(0)
for number in range(desktop.get_child_count()):
    application = desktop.get_child_at_index(number)
    if application is not None and "satchel" in application.get_name().lower():
        walk(application)
