"""A desktop's tray on the session bus, without pixels: a StatusNotifierWatcher that clicks menu entries.

Needs PyGObject, so it runs under the system's Python. Reads labels from standard input, one a line; for each it looks
for the tray icon whose menu has such an entry, clicks it and prints `clicked LABEL`, or `missing LABEL | ALL ENTRIES`.
An empty line prints `menu | ALL ENTRIES`.
"""

import sys

from gi.repository import Gio, GLib

NAME = "org.kde.StatusNotifierWatcher"
MENU = "com.canonical.dbusmenu"
XML = """<node><interface name='org.kde.StatusNotifierWatcher'>
<method name='RegisterStatusNotifierItem'><arg type='s' direction='in'/></method>
<method name='RegisterStatusNotifierHost'><arg type='s' direction='in'/></method>
<property name='RegisteredStatusNotifierItems' type='as' access='read'/>
<property name='IsStatusNotifierHostRegistered' type='b' access='read'/>
<property name='ProtocolVersion' type='i' access='read'/>
<signal name='StatusNotifierItemRegistered'><arg type='s'/></signal>
<signal name='StatusNotifierHostRegistered'/></interface></node>"""

items = []
bus = Gio.bus_get_sync(Gio.BusType.SESSION, None)
loop = GLib.MainLoop()


def call(sender, path, interface, method, arguments):
    return bus.call_sync(sender, path, interface, method, arguments, None, 0, 3000, None)


def entries(sender):
    """(menu's path, [(id, label)])"""
    asked = GLib.Variant("(ss)", ("org.kde.StatusNotifierItem", "Menu"))
    menu = call(sender, "/StatusNotifierItem", "org.freedesktop.DBus.Properties", "Get", asked).unpack()[0]
    call(sender, menu, MENU, "AboutToShow", GLib.Variant("(i)", (0,)))
    layout = call(sender, menu, MENU, "GetLayout", GLib.Variant("(iias)", (0, -1, []))).unpack()
    return menu, [(item[0], item[1].get("label", "").replace("_", "")) for item in layout[1][2]]


def click(label):
    seen = []
    for sender in items:
        try:
            menu, found = entries(sender)
        except GLib.Error:
            continue
        seen += [text for _, text in found if text]
        for number, text in found:
            if label and text == label:
                event = GLib.Variant("(isvu)", (number, "clicked", GLib.Variant("i", 0), 0))
                call(sender, menu, MENU, "Event", event)
                print("clicked", label, flush=True)
                return
    print(f"missing {label}" if label else "menu", "|", " | ".join(seen), flush=True)


def method(connection, sender, path, interface, name, arguments, invocation):  # noqa: PLR0917 - GDBus's signature
    if name == "RegisterStatusNotifierItem":
        items.append(sender)
    invocation.return_value(None)


def value(connection, sender, path, interface, name):
    return {
        "RegisteredStatusNotifierItems": GLib.Variant("as", items),
        "IsStatusNotifierHostRegistered": GLib.Variant("b", True),
        "ProtocolVersion": GLib.Variant("i", 0),
    }[name]


def heard(channel, condition):
    line = channel.readline()
    if not line:
        loop.quit()
        return False
    click(line.rstrip("\n"))
    return True


bus.register_object("/StatusNotifierWatcher", Gio.DBusNodeInfo.new_for_xml(XML).interfaces[0], method, value, None)
Gio.bus_own_name_on_connection(bus, NAME, 0, lambda *_: print("ready", flush=True), None)
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, lambda *_: heard(sys.stdin, None))
loop.run()
