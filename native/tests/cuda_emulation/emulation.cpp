#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "cuda_runtime.h"

#ifndef __x86_64__
#error "the fibers of the emulation are written for x86-64"
#endif

// Saves the callee's registers on the stack that ends, and goes on where the other one was left.
asm(R"(
.text
.local bsq_switch_fiber
.type bsq_switch_fiber, @function
bsq_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size bsq_switch_fiber, .-bsq_switch_fiber
)");
extern "C" void bsq_switch_fiber(void** from, void* to);

namespace bsq::cuda_emulation {
namespace {

constexpr size_t kStackBytes = 64 * 1024;
constexpr unsigned kWarp = 32;

struct Barrier {
  unsigned waiting = 0;
  unsigned generation = 0;
};

struct Fiber {
  void* stack_pointer = nullptr;
  bool ended = false;
  State state;
};

// The block that runs on this thread.
struct Block {
  const std::function<void()>* body = nullptr;
  std::vector<Fiber> fibers;
  std::vector<std::unique_ptr<std::byte[]>> stacks;
  Fiber* current = nullptr;
  void* scheduler = nullptr;
  Barrier of_block;
  std::vector<Barrier> of_warps;
  unsigned alive = 0;
  std::vector<unsigned> alive_in_warps;
  std::vector<uint64_t> slots;
};

thread_local Block block;

void yield() { bsq_switch_fiber(&block.current->stack_pointer, block.scheduler); }

void release_if_complete(Barrier& barrier, unsigned alive) {
  if (barrier.waiting > 0 && barrier.waiting >= alive) {
    barrier.waiting = 0;
    ++barrier.generation;
  }
}

void wait_at(Barrier& barrier, unsigned alive) {
  const unsigned generation = barrier.generation;
  ++barrier.waiting;
  release_if_complete(barrier, alive);
  while (barrier.generation == generation) {
    yield();
  }
}

void fiber_main() {
  (*block.body)();
  Fiber& fiber = *block.current;
  const unsigned warp = fiber.state.thread.x / kWarp;
  fiber.ended = true;
  --block.alive;
  --block.alive_in_warps[warp];
  release_if_complete(block.of_block, block.alive);
  release_if_complete(block.of_warps[warp], block.alive_in_warps[warp]);
  yield();
  std::abort();  // nobody comes back
}

void start(Fiber& fiber, std::byte* stack) {
  // As bsq_switch_fiber leaves a stack: six registers and the address to go on at. There the stack
  // must be as after a call: 8 bytes past a multiple of 16.
  auto* top = reinterpret_cast<void**>(stack + kStackBytes);
  top -= 1;
  *top = nullptr;
  *--top = reinterpret_cast<void*>(&fiber_main);
  for (int i = 0; i < 6; ++i) {
    *--top = nullptr;
  }
  fiber.stack_pointer = top;
  fiber.ended = false;
}

void run_block(unsigned threads) {
  block.alive = threads;
  block.alive_in_warps.assign((threads + kWarp - 1) / kWarp, 0);
  block.of_block = {};
  block.of_warps.assign(block.alive_in_warps.size(), {});
  for (unsigned t = 0; t < threads; ++t) {
    ++block.alive_in_warps[t / kWarp];
    start(block.fibers[t], block.stacks[t].get());
  }
  // Steps through the fibers by a stride that is prime to their number, another one each time.
  for (unsigned round = 0; block.alive > 0; ++round) {
    const unsigned stride = threads == 1 ? 1 : round % 2 == 0 ? 1 : threads - 1;
    unsigned t = round * 7919U % threads;
    for (unsigned i = 0; i < threads; ++i, t = (t + stride) % threads) {
      if (!block.fibers[t].ended) {
        block.current = &block.fibers[t];
        bsq_switch_fiber(&block.scheduler, block.current->stack_pointer);
      }
    }
  }
}

}  // namespace

State& state() { return block.current->state; }

void run(unsigned grid, unsigned threads, void* /*stream*/, const std::function<void()>& body) {
  block.body = &body;
  block.fibers.resize(threads);
  while (block.stacks.size() < threads) {
    block.stacks.push_back(std::make_unique<std::byte[]>(kStackBytes));
  }
  block.slots.assign(static_cast<size_t>(threads / kWarp + 1) * kWarp, 0);
  for (unsigned b = 0; b < grid; ++b) {
    for (unsigned t = 0; t < threads; ++t) {
      block.fibers[t].state = {{t}, {b}, {threads}, {grid}};
    }
    run_block(threads);
  }
  block.current = nullptr;
}

void block_barrier() { wait_at(block.of_block, block.alive); }

void warp_barrier() {
  const unsigned warp = block.current->state.thread.x / kWarp;
  wait_at(block.of_warps[warp], block.alive_in_warps[warp]);
}

uint64_t& lane_slot(unsigned lane) {
  return block.slots[block.current->state.thread.x / kWarp * kWarp + lane];
}

}  // namespace bsq::cuda_emulation
