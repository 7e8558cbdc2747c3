// The World around our server on floor 2: libuv's own code on the simulated kernel. There the same
// oracles hold, but for the contract's.
#include <gtest/gtest.h>
#include <uv.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/kind.hpp"
#include "harness/plan.hpp"
#include "harness/trial.hpp"
#include "stranger.hpp"
#include "subjects/server_subject.hpp"

namespace {

using echoproof::Time;

subjects::ServerShape shape_of(std::size_t block_size) {
  const std::size_t small_block = (block_size + 3) / 4;
  constexpr std::size_t connections = 4;
  return {
      .limits = {.connections = connections,
                 .buffer_memory = subjects::buffer_memory(connections, small_block, 2, block_size),
                 .block_size = block_size,
                 .kernel_memory = echoproof::KernelBudget::unlimited,
                 .tuned_socket = 1,
                 .idle = Time(2000),
                 .write = Time(1000),
                 .small_block = small_block,
                 .linger = block_size},
      .drain = Time(700),
      .clients = 3};
}

// What libuv itself allocates counts here, too: a loop's table of a thousand descriptors, mostly.
harness::Subject server(const subjects::ServerShape& shape) {
  harness::Subject subject = subjects::server_subject(shape);
  subject.start_bytes_max += 16'384;
  return subject;
}

harness::Setting setting_of(std::size_t block_size) {
  return {.clients = 3,
          .send_max = block_size * 8,
          .said_max = block_size * 16,
          .rests = 1,
          .vary = {.version = false, .memory = true}};
}

// A run's plan from a seed.
class Plans {
 public:
  harness::Plan next(uvsim::ChoiceSet asked) {
    uvsim::Random random(++seed_, 0);
    for (std::uint8_t& byte : bytes_) {
      byte = static_cast<std::uint8_t>(random.pick(256, uvsim::ChoicePoint::detail));
    }
    return {bytes_.data(), 1 + seed_ % bytes_.size(), asked};
  }

 private:
  std::array<std::uint8_t, 96> bytes_{};
  std::uint64_t seed_ = 0;
};

int runs() {
  const char* const wish = std::getenv("FLOOR2_RUNS");
  return wish == nullptr ? 3'000 : std::atoi(wish);
}

class OurServer : public testing::TestWithParam<std::size_t> {};

TEST_P(OurServer, is_left_in_peace) {
  const subjects::ServerShape shape = shape_of(GetParam());
  harness::Trial trial;
  Plans plans;
  for (int i = 0; i < runs(); ++i) {
    harness::Plan plan = plans.next(trial.options().asked);
    const harness::Verdict& verdict = trial.run(server(shape), setting_of(GetParam()), plan);
    ASSERT_TRUE(verdict.ok()) << "run " << i << "\n" << trial.trace_text() << trial.summary();
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, OurServer, testing::Values(64, 1, 4096));

TEST(Floor2, plays_the_same_run_twice) {
  const subjects::ServerShape shape = shape_of(64);
  harness::Trial trial;
  Plans plans;
  std::set<std::uint64_t> hashes;
  constexpr int count = 300;
  for (int i = 0; i < count; ++i) {
    harness::Plan plan = plans.next(trial.options().asked);
    EXPECT_TRUE(trial.repeats(server(shape), setting_of(64), plan)) << i;
    hashes.insert(trial.report().trace_hash);
  }
  EXPECT_GT(hashes.size(), std::size_t{count / 2});
}

// --- Torture. ------------------------------------------------------------------------------------

// The kindest answers, but for one or two of the machine's.
class Faults final : public uvsim::Choices {
 public:
  struct Fault {
    std::size_t question;
    std::uint32_t answer;
  };
  explicit Faults(std::vector<Fault> faults) : faults_(std::move(faults)) {}

  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override {
    if (!uvsim::is_machines(point)) return 0;
    const std::size_t question = answers_.size();
    answers_.push_back(n);
    for (const Fault& fault : faults_) {
      if (fault.question == question) return fault.answer % n;
    }
    return 0;
  }
  // How many answers each question of the run had.
  const std::vector<std::uint32_t>& answers() const { return answers_; }

 private:
  std::vector<Fault> faults_;
  std::vector<std::uint32_t> answers_;
};

class Torture : public testing::TestWithParam<harness::Kind> {
 protected:
  Torture() {
    using enum uvsim::ChoicePoint;
    trial_.options().asked = harness::Trial::usual_faults()
                                 .without(ready_order)
                                 .without(ready_count)
                                 .without(turn_time)
                                 .with(allocation);
    trial_.options().fail_allocations = true;
    setting_.vary = harness::Vary::nothing();
    setting_.kinds[0] = GetParam();
  }

  // The numbers of answers that the run's questions had.
  std::vector<std::uint32_t> run(const std::vector<Faults::Fault>& faults) {
    Faults choices(faults);
    const harness::Verdict& verdict = trial_.run(server(shape_), setting_, choices);
    EXPECT_TRUE(verdict.ok()) << trial_.trace_text() << trial_.summary();
    ++runs_;
    return choices.answers();
  }

  // Each later question of such a run with each unkind answer.
  void every_next(const std::vector<Faults::Fault>& faults, std::size_t depth) {
    const std::vector<std::uint32_t> answers = run(faults);
    if (depth == 0) return;
    for (std::size_t i = faults.empty() ? 0 : faults.back().question + 1; i < answers.size(); ++i) {
      for (std::uint32_t answer = 1; answer < answers[i] && !HasFailure(); ++answer) {
        std::vector<Faults::Fault> more = faults;
        more.push_back({i, answer});
        every_next(more, depth - 1);
      }
    }
  }

  subjects::ServerShape shape_ = shape_of(64);
  harness::Setting setting_ = setting_of(64);
  harness::Trial trial_;
  int runs_ = 0;
};

TEST_P(Torture, each_system_call_fails_in_each_way_and_each_pair_of_them) {
  every_next({}, 2);
  std::printf("%d runs\n", runs_);
  EXPECT_GT(runs_, 400);
}

INSTANTIATE_TEST_SUITE_P(Clients, Torture,
                         testing::Values(harness::Kind::ordinary, harness::Kind::pair,
                                         harness::Kind::half_closes, harness::Kind::burst));

// --- What is wrong is found. ---------------------------------------------------------------------

// The first finding of so many random runs, as the oracle's name.
std::string finding_of(const harness::Subject& subject) {
  harness::Trial trial;
  using enum uvsim::ChoicePoint;
  trial.options().asked = uvsim::ChoiceSet::none().with(ready_order).with(read_size);
  const harness::Setting setting{.clients = 3, .send_max = 4000, .said_max = 16'000};
  Plans plans;
  for (int i = 0; i < 600; ++i) {
    harness::Plan plan = plans.next(trial.options().asked);
    // A run that was left in its middle leaves libuv's signals as they were: it is the last.
    const harness::Verdict& verdict = trial.run(subject, setting, plan);
    if (!verdict.ok()) return harness::name_of(verdict.broken);
  }
  return "";
}

using stranger::Defect;
using stranger::Shape;

TEST(StrangerOnFloor2, that_is_right_is_left_in_peace) {
  EXPECT_EQ(finding_of(stranger::server(Shape::plain)), "");
}

TEST(StrangerOnFloor2, that_keeps_a_node_is_found) {
  EXPECT_EQ(finding_of(stranger::server(Shape::plain, Defect::keeps_a_node)), "ledger");
}

TEST(StrangerOnFloor2, that_keeps_who_has_gone_is_found) {
  EXPECT_EQ(finding_of(stranger::server(Shape::plain, Defect::keeps_the_gone)), "alive");
}

TEST(StrangerOnFloor2, that_stops_reading_is_found) {
  EXPECT_EQ(finding_of(stranger::server(Shape::idle, Defect::stops_reading)), "whole");
}

TEST(StrangerOnFloor2, that_answers_wrongly_is_found) {
  EXPECT_EQ(finding_of(stranger::server(Shape::shouts, Defect::whispers)), "prefix");
}

TEST(StrangerOnFloor2, that_takes_others_down_is_found) {
  EXPECT_EQ(finding_of(stranger::server(Shape::plain, Defect::takes_others_down)), "apart");
}

// --- What libuv 1.44.2 does. ---------------------------------------------------------------------

// uv_loop_init, loop.c: where the eventfd cannot be made, the epoll instance stays open.
TEST(LibuvOnFloor2, leaves_its_epoll_open_when_a_loop_cannot_be_made) {
  uvsim::Simulation simulation;
  uvsim::OneFault fault(2, 1);  // of epoll_create1, pipe2 and eventfd the third
  simulation.options().asked = uvsim::ChoiceSet::none().with(uvsim::ChoicePoint::call_loop_init);
  const uvsim::Report& report = simulation.run(fault, [] {
    uv_loop_t loop;
    return uv_loop_init(&loop);
  });
  EXPECT_EQ(report.result, UV_EMFILE);
  EXPECT_EQ(report.open_descriptors, 1U);
}

}  // namespace
