"""Cancel and retry, up and down, as the window's buttons ask for them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from e2e.client import fetched_sha256, random_file, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from e2e.wiretap import wiretap
from satchel.core.errors import CancelledError, SatchelError


def first_row(engine: Any) -> Any:
    return engine.call("status")["transfers"][0]


def test_a_cancelled_upload_is_dropped_again_by_retry_with_a_link_that_works(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "film.bin"
    digest = random_file(file, 40 << 20)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path / "client", taps.site) as client:
        taps.s3.spoil = lambda exchange, offset, block: (time.sleep(0.003), block)[1]
        engine = client.start()
        dropped = engine.call("drop", paths=[str(file)])
        wait_until(lambda: taps.s3.exchanges)
        engine.call("transfer_cancel", transfer_id=dropped["items"][0]["transfer_id"])
        wait_until(lambda: first_row(engine)["state"] == "cancelled")
        old = dropped["links"][0].rsplit("/", 1)[-1]
        wait_until(lambda: cloud.request("GET", f"/p/{old}").json().get("state") == "stopped")

        taps.s3.spoil = None
        engine.call("transfer_retry", transfer_id=dropped["items"][0]["transfer_id"])
        wait_until(lambda: first_row(engine)["state"] == "done")
        link = first_row(engine)["link_url"]

        assert len(engine.call("status")["transfers"]) == 1
    assert fetched_sha256(cloud, link) == digest


def test_a_download_is_cancelled_from_the_window_and_leaves_no_half_file(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "film.bin"
    random_file(file, 30 << 20)
    to = tmp_path / "got"
    to.mkdir()
    ended: list[SatchelError] = []

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path / "client", taps.site) as client:
        engine = client.start()
        engine.call("drop", paths=[str(file)], wait=True)
        hold = threading.Event()
        taps.s3.hold = hold

        def get() -> None:
            try:
                engine.call("get", source="/Drops/film.bin", dest=str(to))
            except SatchelError as error:
                ended.append(error)

        getting = threading.Thread(target=get)
        getting.start()
        row = wait_until(
            lambda: next((r for r in engine.call("status")["transfers"] if r["direction"] == "down"), None)
        )
        engine.call("transfer_cancel", transfer_id=row["transfer_id"])
        hold.set()
        getting.join(30)

    assert [type(error) for error in ended] == [CancelledError]
    assert not (to / "film.bin").exists()
