// The thread pool: four workers, or as many as UV_THREADPOOL_SIZE says, and one queue for all
// loops.
//
// Theory. A request waits in the queue until a worker takes it, and can be cancelled until then.
// Workers are threads of the scheduler, made when the queue needs them; so they run when the first
// thread waits, and a worker that sleeps leaves the loop to itself. What is done waits in loop->wq
// until that loop looks, in the order in which it was done.
#include <algorithm>
#include <cstdlib>

#include "internal.hpp"
#include "periphery.hpp"
#include "scheduler.hpp"

namespace uvsim {
namespace {

Link queue{&queue, &queue};
unsigned workers = 0;
unsigned idle = 0;  // of them, those that wait for work

Link* link_in(Work* work) { return link_of(work->wq); }
Work* work_at(Link* link) { return UVSIM_OWNER(link, Work, wq); }

unsigned workers_max() {
  constexpr unsigned usual = 4;
  constexpr unsigned most = 1024;
  const char* const wish = std::getenv("UV_THREADPOOL_SIZE");
  if (wish == nullptr) return usual;
  return std::clamp(static_cast<unsigned>(std::strtoul(wish, nullptr, 10)), 1u, most);
}

// Takes the place of what was to be done; it is never called.
void cancelled(Work* /*work*/) {}

void hand_in(Context& context, Work* work) {
  push_back(link_of(work->loop->wq), link_in(work));
  make_ready(loop_state(context, work->loop).async_watch);
}

void work_for_ever(void* opaque) {
  Context& context = *static_cast<Context*>(opaque);
  const ledger::Outside outside;
  for (;;) {
    wait_until(context, [](void*) { return !empty(&queue); }, nullptr, Wait::forever);
    current();  // with the baton, wherever it has waited
    if (empty(&queue)) continue;
    --idle;
    Work* const work = work_at(queue.next);
    remove(link_in(work));
    work->work(work);
    work->work = nullptr;
    hand_in(context, work);
    ++idle;
  }
}

}  // namespace

size_t idle_workers() noexcept { return idle; }

bool work_is_queued() noexcept { return !empty(&queue); }

bool work_is_done(const LoopState& state) noexcept { return !empty(link_of(state.loop->wq)); }

void start_workers(Context& context) {
  size_t wanted = 0;
  for (const Link* link = queue.next; link != &queue; link = link->next) ++wanted;
  if (wanted <= idle) return;
  for (const unsigned most = workers_max(); wanted > idle && workers < most; ++workers, ++idle)
    if (start_thread(context, 0, work_for_ever, &context) == nullptr) return;
}

void submit_work(Context& context, uv_loop_t* loop, Work* work, void (*do_it)(Work*),
                 void (*done)(Work*, int)) {
  work->loop = loop;
  work->work = do_it;
  work->done = done;
  push_back(&queue, link_in(work));
  if (context.pick(2, ChoicePoint::worker_start) == 1 && on_first_thread()) run_threads(context);
}

int call_back_work(LoopState& state) {
  Link turn;
  move_all(link_of(state.loop->wq), &turn);
  int count = 0;
  while (!empty(&turn)) {
    Work* const work = work_at(turn.next);
    remove(link_in(work));
    work->done(work, work->work == cancelled ? UV_ECANCELED : 0);
    ++count;
  }
  return count;
}

int cancel_work(Work* work) {
  const auto waits = [work] {
    for (Link* link = queue.next; link != &queue; link = link->next)
      if (work_at(link) == work) return true;
    return false;
  };
  if (!waits()) return UV_EBUSY;
  remove(link_in(work));
  work->work = cancelled;
  hand_in(current(), work);
  return 0;
}

void reset_pool() noexcept {
  init(&queue);
  workers = idle = 0;
}

}  // namespace uvsim
