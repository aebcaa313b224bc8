"""Locks in a child that was forked while another thread held them."""

import os
import signal
import threading

import pytest

from fastapi_diagnostics.locks import Lock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_lock_held_by_another_thread_is_open_in_a_forked_child() -> None:
    lock = Lock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # a lock that stays shut ends the child with a signal
        os._exit(_enter(lock))
    done.set()
    thread.join()
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0


def test_its_holder_may_enter_again_and_others_wait() -> None:
    lock = Lock()
    entered = []
    thread = threading.Thread(target=lambda: entered.append(_enter(lock)))

    with lock, lock:
        thread.start()
        thread.join(0.05)
        before = list(entered)
    thread.join()

    assert (before, entered) == ([], [0])


def _enter(lock: Lock) -> int:
    with lock:
        return 0
