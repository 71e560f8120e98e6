// The thread pool: tasks by number, claimed in any order, so results must not depend on who runs which.
#pragma once

#include <cstddef>

namespace dualwalk {

// run(context, task, worker): worker is below n_threads and differs between tasks that run at the same time.
using Task = void (*)(void* context, std::size_t task, int worker);
// Called by the calling thread at least every 50 ms; true asks to stop: tasks not yet begun are skipped.
using Poll = bool (*)(void* context);

// Runs tasks 0 .. n_tasks-1 on up to n_threads threads, the caller's included; false when the poll stopped it.
// Safe from several threads at once; threads start at the first call that wants them; a forked child starts its own. A child that the
// poll itself forked has lost what other threads were doing: its poll must ask to stop.
bool parallel_for(std::size_t n_tasks, int n_threads, Task run, void* context, Poll poll = nullptr, void* poll_context = nullptr);

// How often this process was forked from another since the module was loaded.
unsigned fork_count();

// A sleeping thread takes 10 to 60 us until it works (measured): what one alone does in that time is not worth a second one.
constexpr double WORK_A_THREAD = 1 << 22;  // multiply-adds in vectors, some 40 us at 100 of them a nanosecond
// The threads that are worth it for this many multiply-adds (or what takes as long), from 1 to n_threads: a call that is shorter
// than two shares stays on the caller's thread. The one rule for every job; results never depend on it.
int threads_for(double work, int n_threads);

}  // namespace dualwalk
