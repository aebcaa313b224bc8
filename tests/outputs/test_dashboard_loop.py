"""What the page of the event loop tells."""

import pytest

from fastapi_diagnostics.record import (
    Frame,
    HotLine,
    LoopBlock,
    ShortBlocks,
    ThreadHolder,
    ThreadWait,
    TimeSplit,
    Victim,
)
from tests.builders import a_finding, a_location, a_report
from tests.outputs.examples import at, example_reports
from tests.outputs.pages import links, parsed, words


def a_block(minutes_ago=1.0, **changes):
    defaults = {
        "id": "b1",
        "kind": "sleep",
        "call": "time.sleep",
        "started_at": at(minutes_ago),
        "started_ms": 1.0,
        "duration_ms": 120.0,
        "phase": "endpoint",
        "location": a_location(),
    }
    return LoopBlock(**defaults | changes)


def a_blocking_report(minutes_ago=1.0, *findings, block=None, **changes):
    blocks = (block or a_block(minutes_ago),)
    return a_report(*findings, **{"started_at": at(minutes_ago), "blocks": blocks} | changes)


def bars(answer):
    tree = parsed(answer.text)
    return [node for node in tree.findall(".//{*}a") if node.find("./{*}title") is not None]


async def test_each_block_of_the_last_minutes_is_a_bar_that_leads_to_it(client, backend):
    backend.store.save(
        [
            a_blocking_report(1.0, id="r1"),
            a_blocking_report(3.0, id="r2", block=a_block(3.0, id="b2", duration_ms=412.0)),
            a_blocking_report(30.0, id="r3", block=a_block(30.0, id="b3")),
        ]
    )

    answer = await client.get("loop")

    assert [bar.find("./{*}title").text for bar in bars(answer)] == [
        "time.sleep 412 ms, 0 requests waited",
        "time.sleep 120 ms, 0 requests waited",
    ]
    assert "The loop was held twice in the last 5 min, 532 ms in all." in words(answer.text)
    chosen = await client.get(f"http://test{bars(answer)[0].attrib['href']}")
    assert "time.sleep held the loop for 412 ms" in words(chosen.text)


async def test_a_selected_block_names_culprit_line_call_and_victims(client, backend):
    backend.store.save(example_reports())

    told = words((await client.get("loop?block=b1&request=01KB5E0N2")).text)

    assert "bcrypt.hashpw held the loop for 412 ms" in told
    assert "By POST /authors/{author_id}/report 01KB5E0N2" in told
    assert "a password hash" in told
    assert "authors.py:19" in told.replace(" ", "")
    assert "01KB5E0N1 GET /authors/ 380 ms" in told
    assert "01KB5E0N3 POST /users at most 12 ms" in told
    assert "LOOP101 : Hash in a thread" in told
    assert "first call of its route" in told


async def test_a_block_is_found_in_its_request_after_it_left_the_strip(client, backend):
    backend.store.save([a_blocking_report(600.0)])

    answer = await client.get("loop?block=b1&request=r1")

    assert bars(answer) == []
    assert "time.sleep held the loop for 120 ms" in words(answer.text)


async def test_a_block_of_another_request_is_not_mistaken_for_it(client, backend):
    backend.store.save([a_blocking_report(id="r1"), a_blocking_report(id="r2")])

    found = links((await client.get("loop?block=b1&request=r2")).text)
    wrong = await client.get("loop?block=b1&request=r9")

    assert any(link.endswith("/requests/r2") for link in found)
    assert wrong.status_code == 404


async def test_selecting_fixes_the_minutes_that_are_shown(client, backend):
    backend.store.save([a_blocking_report()])

    [bar] = bars(await client.get("loop"))
    chosen = await client.get(f"http://test{bar.attrib['href']}")

    assert "until=" in bar.attrib["href"]
    assert [again.attrib["href"] for again in bars(chosen)] == [bar.attrib["href"]]
    assert bars(chosen)[0].attrib["aria-current"] == "true"


async def test_blocks_at_one_line_are_one_row_with_their_costs(client, backend):
    block = a_block(
        id="b2", duration_ms=300.0, victims=(Victim(request_id="v", route="", waited_ms=9),)
    )
    backend.store.save([a_blocking_report(id="r1"), a_blocking_report(id="r2", block=block)])

    [row] = parsed((await client.get("loop")).text).findall(".//table/tbody/tr")

    told = " ".join(" ".join(row.itertext()).split())
    assert told == "app/ services.py:12 time.sleep GET /books \u00d72 300 ms 420 ms 1"
    assert "block=b2" in row.find(".//a").attrib["href"]


async def test_hot_lines_and_notes_of_a_block_are_told(client, backend):
    block = a_block(
        hot_lines=(HotLine(file="a.py", line=3, ms=90.0), HotLine(file="b.py", line=4, ms=30.0)),
        stack=(Frame(location=a_location()), Frame(location=a_location(line=40))),
        thread="worker-1",
        gc_ms=80.0,
        ended=False,
        call="",
        kind="cpu",
    )
    backend.store.save([a_blocking_report(block=block)])

    told = words((await client.get("loop?block=b1")).text)

    assert "computing held the loop" in told
    assert "a.py:3 90 ms" in told
    assert "“worker-1” kept the interpreter lock" in told
    assert "The garbage collector took 80 ms of it." in told
    assert "It was not over yet" in told
    assert "Nobody was seen waiting" in told
    assert "services.py:40" in told


async def test_a_block_without_a_line_says_so(client, backend):
    backend.store.save([a_blocking_report(block=a_block(location=None))])

    assert "No line of yours was running" in words((await client.get("loop?block=b1")).text)


async def test_a_finding_at_another_line_is_not_shown_with_the_block(client, backend):
    finding = a_finding(rule="LOOP101", location=a_location(line=99))
    backend.store.save([a_blocking_report(1.0, finding)])

    assert "LOOP101" not in words((await client.get("loop?block=b1")).text)


async def test_many_blocks_at_once_are_one_bar_that_counts_them(client, backend):
    moment = at(1.0)
    backend.store.save(
        [
            a_blocking_report(id=f"r{n}", block=a_block(id=f"b{n}", started_at=moment))
            for n in range(40)
        ]
    )

    answer = await client.get("loop")

    [bar] = bars(answer)
    assert bar.find("./{*}title").text.endswith("the longest of 40 blocks here")
    assert "\u00d740" in "".join(bar.itertext())


async def test_blocks_of_the_process_itself_are_shown(client, backend):
    backend.store.save([a_report(id="r1"), a_blocking_report(id="p1", kind="process", route="")])

    assert "the process" in words((await client.get("loop")).text)


async def test_waiting_and_use_of_the_loop_are_spread_out(client, backend):
    for n, waited in enumerate((0.05, 0.5, 0.6, 700.0)):
        split = TimeSplit(on_loop_ms=2.0, queued_ms=waited, threadpool_ms=10.0)
        backend.store.save([a_report(id=f"r{n}", started_at=at(1.0), time=split)])

    told = words((await client.get("loop")).text)

    assert "up to 0.1 ms 1 0.1 to 1 ms 2 1 to 5 ms \u2013" in told
    assert "over 500 ms 1" in told
    assert "longest 700 ms" in told
    assert "4 requests spent 40 ms in or waiting for worker threads" in told
    assert "No call had to wait for one." in told


async def test_a_block_that_still_runs_is_told_with_its_beginning(client, backend):
    backend.store.save([a_blocking_report(block=a_block(duration_ms=10_000.0, ended=False))])

    told = words((await client.get("loop")).text)
    chosen = words((await client.get("loop?block=b1")).text)

    assert "time.sleep of GET /books runs since " in told
    assert "It was not over yet when this was noted: running since " in chosen


async def test_a_block_that_was_told_while_it_ran_is_one_bar_when_it_has_ended(client, backend):
    moment = at(1.0)
    whole = a_block(id="b1", started_at=moment, duration_ms=31_000.0)
    began = a_block(id="b2", started_at=moment, duration_ms=10_000.0, ended=False)
    elsewhere = a_block(
        id="b3", started_at=moment, ended=False, location=a_location(line=90), call="f"
    )
    backend.store.save(
        [
            a_blocking_report(id="r1", block=whole),
            a_blocking_report(id="p1", block=began, kind="process"),
        ]
    )
    one = await client.get("loop")
    backend.store.save([a_blocking_report(id="p2", block=elsewhere, kind="process")])
    other = await client.get("loop")

    assert "The loop was held once in the last 5 min" in words(one.text)
    assert "runs since" not in words(one.text)
    assert "The loop was held twice" in words(other.text)


async def test_short_stretches_are_shown_by_line_with_their_sum(client, backend):
    shorts = ShortBlocks(longest=a_block(duration_ms=45.0, call="", kind="cpu"), count=12,
                         total_ms=430.0)  # fmt: skip
    backend.store.save([a_report(id=f"r{n}", started_at=at(1.0), short_blocks=(shorts,))
                        for n in range(2)])  # fmt: skip

    answer = await client.get("loop")

    [row] = parsed(answer.text).findall(".//table/tbody/tr")
    told = " ".join(" ".join(row.itertext()).split())
    assert told == "app/ services.py:12 cpu GET /books \u00d724 45 ms 860 ms"
    assert "Held it briefly, again and again" in words(answer.text)


async def test_who_waited_for_a_thread_and_who_had_them_is_told(client, backend):
    wait = ThreadWait(
        name="Settings",
        role="class-dependency",
        started_ms=1.0,
        waited_ms=120.0,
        phase="dependencies",
        threads=40,
        holders=(
            ThreadHolder(name="report", request_id="r9", route="GET /report", threads=39),
            ThreadHolder(name="work of no request"),
        ),
    )
    split = TimeSplit(threadpool_ms=130.0)
    backend.store.save(
        [a_report(id="r1", started_at=at(1.0), thread_waits=(wait, wait), time=split)]
    )

    answer = await client.get("loop")

    [row] = parsed(answer.text).findall(".//table/tbody/tr")
    told = " ".join(" ".join(row.itertext()).split())
    assert told == (
        "Settings a class as a dependency GET /books GET /report report 39 threads "
        "work of no request 1 thread \u00d72 120 ms"
    )
    assert any(link.endswith("/requests/r9") for link in links(answer.text))
    assert "2 calls had to wait for a thread, all 40 of them taken" in words(answer.text)


async def test_a_quiet_stretch_names_a_longer_one_that_was_not(client, backend):
    backend.store.save([a_blocking_report(40.0)])

    answer = await client.get("loop")

    assert "Nothing held the event loop for long in the last 5 min." in words(answer.text)
    assert "1 block in the last 1 h" in words(answer.text)
    assert any(link.endswith("/loop?minutes=60") for link in links(answer.text))


async def test_silence_is_told_from_not_watching(client, backend):
    empty = words((await client.get("loop")).text)
    backend.store.save([a_report(started_at=at(1.0))])
    backend.hooks[1] = {"name": "Event loop", "on": False, "why": "the loop cannot be patched"}
    blind = words((await client.get("loop")).text)

    assert "No request recorded yet." in empty
    assert "What will stand here" in empty
    assert "The event loop is not watched." in blind
    assert "The loop cannot be patched." in blind


@pytest.mark.parametrize(
    "path",
    ["loop?minutes=7", "loop?until=x", "loop?until=0001-01-01T00:00:00Z", "loop?block=a&block=b",
     "loop?until=9999-12-31T23:59:59-14:00"],
)  # fmt: skip
async def test_nonsense_is_refused_with_a_page(client, path):
    assert (await client.get(path)).status_code == 422


@pytest.mark.parametrize("path", ["loop?block=none", "loop?block=%00&request=%00"])
async def test_a_block_that_is_not_kept_is_404(client, path):
    assert (await client.get(path)).status_code == 404
