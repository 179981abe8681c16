"""Who gets which task: pure bookkeeping, without processes."""

from __future__ import annotations

from dataclasses import replace

from execution_helpers import as_job

from zerocoder.execution import Job, Limits, Verdict
from zerocoder.execution.progress import MAX_FAMILY, Progress
from zerocoder.execution.schedule import Schedule, Task

LIMITS = Limits(cpu_multiple=0)


def opened(job: Job) -> Progress:
    return Progress(job, LIMITS, None, "")


def job(num_programs: int, num_tests: int = 2) -> Job:
    return as_job([f"def f(x): return {n}" for n in range(num_programs)], [f"assert f({k})" for k in range(num_tests)])


def passed(schedule: Schedule, task: Task, num_tests: int = 2) -> None:
    answer = None if task.rows is None else [(True, [(int(Verdict.PASS), 1)] * num_tests) for _ in task.rows]
    schedule.finish(task, answer)


def take(schedule: Schedule, held: int | None = None) -> Task:
    task = schedule.next_task(held)
    assert task is not None
    return task


def test_a_worker_keeps_its_job_and_others_open_new_ones_before_they_help() -> None:
    schedule = Schedule()
    first, second = schedule.add(opened(job(3))), schedule.add(opened(job(2)))
    plan = take(schedule)
    assert (plan.job, plan.rows) == (first, None)
    passed(schedule, plan)
    assert take(schedule, None).job == second  # an idle worker opens the next job
    assert [take(schedule, first).rows for _ in range(2)] == [[0], [1]]
    assert take(schedule, None).rows == [2]  # and then helps
    assert schedule.next_task(None) is None
    assert not schedule.idle


def test_jobs_are_done_when_their_last_row_is() -> None:
    schedule = Schedule()
    number = schedule.add(opened(job(2)))
    passed(schedule, take(schedule))
    tasks = [take(schedule, number) for _ in range(2)]
    passed(schedule, tasks[1])
    assert schedule.take_done() == []
    passed(schedule, tasks[0])
    [(done, progress)] = schedule.take_done()
    assert done == number and schedule.idle
    progress.finish()
    assert (progress.matrix == Verdict.PASS).all()
    assert schedule.take_done() == []


def test_jobs_without_a_cell_are_done_at_once() -> None:
    schedule = Schedule()
    numbers = [schedule.add(opened(j)) for j in (job(0), job(2, 0), as_job([None], ["assert f(1)"]))]
    assert [number for number, _ in schedule.take_done()] == numbers
    assert schedule.idle


def test_a_lost_task_is_done_again_once() -> None:
    schedule = Schedule()
    number = schedule.add(opened(job(2)))
    schedule.lost(take(schedule), now=1.0, started=1.0)
    again = take(schedule)
    assert again.rows is None and again.num_attempts == 1
    schedule.lost(again, now=1.0, started=1.0)  # no plan then: sources are compiled where they run
    [first, second] = [take(schedule, number) for _ in range(2)]
    passed(schedule, second)
    schedule.lost(first, now=1.0, started=1.0)
    schedule.lost(take(schedule), now=1.0, started=1.0)
    [(_, progress)] = schedule.take_done()
    progress.finish()
    assert progress.matrix.tolist() == [[Verdict.INFRA] * 2, [Verdict.PASS] * 2]


def test_workers_that_die_together_count_once() -> None:
    schedule = Schedule()
    number = schedule.add(opened(job(1)))
    passed(schedule, take(schedule))
    schedule.lost(take(schedule, number), now=5.0, started=1.0)
    schedule.lost(take(schedule), now=5.1, started=2.0)  # by a worker that was there when the first one died
    schedule.lost(take(schedule), now=5.2, started=3.0)
    again = take(schedule)
    assert again.rows == [0]
    schedule.lost(again, now=7.0, started=6.0)  # a new one: it is the task
    [(_, progress)] = schedule.take_done()
    progress.finish()
    assert (progress.matrix == Verdict.INFRA).all()


def test_a_lost_family_is_done_again_one_by_one() -> None:
    schedule = Schedule()
    number = schedule.add(opened(replace(job(MAX_FAMILY + 2), family=True)))
    passed(schedule, take(schedule))
    first, second = take(schedule, number), take(schedule, number)
    half = MAX_FAMILY // 2 + 1
    assert first.rows == list(range(half)) and second.rows == list(range(half, 2 * half))
    schedule.lost(second, now=1.0, started=1.0)
    singles = [take(schedule) for _ in range(half)]
    assert [task.rows for task in singles] == [[row] for row in range(half, 2 * half)]
    schedule.lost(singles[0], now=1.0, started=1.0)
    for task in (*singles[1:], first):
        passed(schedule, task)
    [(_, progress)] = schedule.take_done()
    progress.finish()
    assert (progress.matrix == Verdict.INFRA).any(axis=1).nonzero()[0].tolist() == [half]


def test_what_a_worker_did_not_reach_is_handed_out_again_to_two() -> None:
    schedule = Schedule()
    number = schedule.add(opened(replace(job(7), family=True)))
    passed(schedule, take(schedule))
    task = take(schedule, number)
    assert schedule.next_task(number) is None
    schedule.finish(task, [(True, [(int(Verdict.PASS), 1)] * 2)] * 2)
    rest = [take(schedule, number), take(schedule, None)]
    assert [part.rows for part in rest] == [[2, 3, 4], [5, 6]]
    for part in rest:
        assert schedule.take_done() == []
        passed(schedule, part)
    [(_, progress)] = schedule.take_done()
    progress.finish()
    assert (progress.matrix == Verdict.PASS).all()


def planned(schedule: Schedule, num_programs: int) -> None:
    """Finishes the next job's plan: all programs are different, and may share a process."""
    task = take(schedule)
    assert task.rows is None
    programs = {"groups": list(range(num_programs)), "codes": [None] * num_programs,
                "sealed": [True] * num_programs, "watched": [False] * num_programs}  # fmt: skip
    schedule.finish(task, {"programs": programs, "tests": {"groups": [0, 1], "plans": [None, None]}})


def test_the_last_programs_are_shared_out_in_smaller_and_smaller_parts() -> None:
    schedule = Schedule(num_workers=2)
    numbers = [schedule.add(opened(job(8))) for _ in range(4)]
    for _ in numbers:
        planned(schedule, 8)
    whole, half, quarters = list(range(8)), [[0, 1, 2, 3], [4, 5, 6, 7]], [[4, 5], [6, 7]]
    tasks = [take(schedule) for _ in range(8)]
    assert [(task.job, task.rows) for task in tasks] == [
        *[(number, whole) for number in numbers[:2]],  # two others wait, one for each worker
        (numbers[2], half[0]),  # one does
        *[(numbers[2], part) for part in quarters],
        (numbers[3], half[0]),
        *[(numbers[3], part) for part in quarters],
    ]
    done = []
    for task in tasks:
        passed(schedule, task)
        done.append([number for number, _ in schedule.take_done()])
    assert done == [[0], [1], [], [], [2], [], [], [3]]  # each with its last part
    assert schedule.idle


def test_a_worker_by_itself_a_family_and_two_programs_stay_whole() -> None:
    for schedule, work in (
        (Schedule(num_workers=1), job(8)),
        (Schedule(num_workers=4), replace(job(8), family=True)),
        (Schedule(num_workers=4), job(2)),
    ):
        schedule.add(opened(work))
        planned(schedule, len(work.programs))
        assert take(schedule).rows == list(range(len(work.programs)))
        assert schedule.next_task(None) is None


def test_what_a_lost_worker_had_not_begun_is_handed_out_again_as_it_was() -> None:
    schedule = Schedule()
    number = schedule.add(opened(job(2)))
    assert schedule.has_waiting(1) and not schedule.has_waiting(2)
    passed(schedule, take(schedule))
    assert schedule.has_waiting(2) and not schedule.has_waiting(3)
    begun, waiting = take(schedule, number), take(schedule, number)
    schedule.lost(begun, now=2.0, started=1.0)
    schedule.give_back(waiting)
    again = [take(schedule) for _ in range(2)]
    assert [(task.rows, task.num_attempts) for task in again] == [([0], 1), ([1], 0)]
    schedule.drop(number)
    assert schedule.deadline_seconds(again[1]) > 0  # a worker may still come to it
    schedule.give_back(again[1])
    assert schedule.next_task(None) is None and not schedule.has_waiting(1)


def test_dropped_jobs_leave_nothing_behind() -> None:
    schedule = Schedule()
    kept, dropped = schedule.add(opened(job(1))), schedule.add(opened(job(3)))
    mine, theirs = take(schedule), take(schedule)
    passed(schedule, theirs)
    running = take(schedule, dropped)
    schedule.drop(dropped)
    passed(schedule, running)  # an answer that comes too late
    schedule.lost(running, now=1.0, started=1.0)
    assert schedule.next_task(dropped) is None
    passed(schedule, mine)
    passed(schedule, take(schedule, kept))
    assert [number for number, _ in schedule.take_done()] == [kept]
    assert schedule.idle


def test_giving_up_leaves_infra() -> None:
    schedule = Schedule()
    schedule.add(opened(job(2)))
    schedule.add(opened(job(1)))
    passed(schedule, take(schedule))
    schedule.give_up()
    done = schedule.take_done()
    assert schedule.idle and schedule.next_task(None) is None
    for _, progress in done:
        progress.finish()
        assert (progress.matrix == Verdict.INFRA).all()
