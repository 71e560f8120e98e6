// permute_marginals on the CPU: panels of a few columns go through a transposed scratch that fits the cache.
#pragma once

#include "draws.hpp"
#include "kernels.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

struct Bytes16 {
  std::uint64_t half[2];
};

constexpr std::size_t SCRATCH_BYTES = 256 * 1024;  // a thread's share of L2

template <class Item>
class Permuter {
 public:
  explicit Permuter(const Permutation& job) : job_(job) {
    const std::size_t n = job.n_rows;
    // A panel is at least one cache line of columns wide, unless so many rows overflow the scratch.
    width_ = SCRATCH_BYTES / (2 * sizeof(Item) * (n ? n : 1));
    const std::size_t line = smaller<std::size_t>(64 / sizeof(Item), 16);
    width_ = width_ >= 2 * line ? 2 * line : width_ >= line ? line : larger<std::size_t>(width_, 1);
    width_ = smaller(width_, job.n_columns);
    n_panels_ = (job.n_columns + width_ - 1) / width_;
    copies_a_task_ = larger<std::size_t>(1, job.n_copies * n_panels_ / (8 * static_cast<std::size_t>(job.n_threads)));
    copies_a_task_ = smaller(copies_a_task_, job.n_copies);
    tasks_a_panel_ = (job.n_copies + copies_a_task_ - 1) / copies_a_task_;
    pitch_ = (n * sizeof(Item) + 63) / 64 * 64 / sizeof(Item) + 64 / sizeof(Item);  // off the powers of two
    worker_bytes_ = (2 * width_ * pitch_ * sizeof(Item) + 4 * stream_length(n) * sizeof(std::uint32_t) + 127) / 64 * 64;
  }

  bool run() {
    const std::size_t n_tasks = n_panels_ * tasks_a_panel_;
    const Scratch scratch(worker_bytes_ * static_cast<std::size_t>(job_.n_threads));
    if (!scratch) return false;
    auto body = [&](std::size_t task, int worker) {
      panel(task / tasks_a_panel_, task % tasks_a_panel_, scratch.as<char>(worker_bytes_ * worker));
    };
    return run_parallel(n_tasks, job_.n_threads, body);
  }

 private:
  void panel(std::size_t number, std::size_t part, char* scratch) const {
    const std::size_t n = job_.n_rows, first = number * width_, width = smaller(width_, job_.n_columns - first);
    Item* const source = reinterpret_cast<Item*>(scratch);
    Item* const result = source + width_ * pitch_;
    std::uint32_t* const draws = reinterpret_cast<std::uint32_t*>(result + width_ * pitch_);
    read(first, width, source);
    const std::size_t end = smaller((part + 1) * copies_a_task_, job_.n_copies);
    for (std::size_t copy = part * copies_a_task_; copy < end; ++copy) {
      std::int64_t drawn = -1;
      for (std::size_t c = 0; c < width; ++c) {
        const std::int32_t block = job_.block[first + c];
        if (block != drawn) draw(copy, block, draws);
        drawn = block;
        rearrange(source + c * pitch_, result + c * pitch_, draws);
      }
      write(result, width, reinterpret_cast<Item*>(job_.out) + copy * n * job_.n_columns + first);
    }
  }

  void draw(std::size_t copy, std::int32_t block, std::uint32_t* draws) const {
    const std::uint32_t n = static_cast<std::uint32_t>(job_.n_rows);
    const Stream stream{job_.seed, job_.operation, static_cast<std::uint32_t>(copy), static_cast<std::uint32_t>(block)};
    if (job_.operation == SHUFFLE) draw_column(stream, n, 1, 1, draws);
    if (job_.operation == RESAMPLE) draw_column(stream, n, 0, n, draws);
    if (job_.operation == SHIFT) draws[0] = n < 2 ? 0 : 1 + draw_integer(stream, 0, n - 1);
  }

  void rearrange(const Item* source, Item* result, const std::uint32_t* draws) const {
    const std::size_t n = job_.n_rows, length = stream_length(n);
    if (job_.operation == SHIFT) {
      const std::size_t shift = draws[0];
      std::memcpy(result, source + shift, (n - shift) * sizeof(Item));
      std::memcpy(result + (n - shift), source, shift * sizeof(Item));
      return;
    }
    const bool shuffle = job_.operation == SHUFFLE;
    for (std::size_t row = 0; row < n; row += 4) {
      const std::size_t rows = smaller<std::size_t>(4, n - row);
      for (std::size_t k = 0; k < rows; ++k) {
        const std::uint32_t other = draws[k * length + row / 4];
        if (shuffle) {  // Fisher-Yates from the inside out
          result[row + k] = result[other];
          result[other] = source[row + k];
        } else {
          result[row + k] = source[other];
        }
      }
    }
  }

  void read(std::size_t first, std::size_t width, Item* source) const {
    for (std::size_t row = 0; row < job_.n_rows; ++row) {
      const char* const from = job_.x + static_cast<std::ptrdiff_t>(row) * job_.row_stride;
      for (std::size_t c = 0; c < width; ++c) std::memcpy(source + c * pitch_ + row, from + job_.column_offset[first + c], sizeof(Item));
    }
  }

  void write(const Item* result, std::size_t width, Item* out) const {
    for (std::size_t row = 0; row < job_.n_rows; ++row)
      for (std::size_t c = 0; c < width; ++c) out[row * job_.n_columns + c] = result[c * pitch_ + row];
  }

  const Permutation& job_;
  std::size_t width_, n_panels_, copies_a_task_, tasks_a_panel_, pitch_, worker_bytes_;
};

inline bool permute(const Permutation& job) {
  switch (job.item_size) {
    case 1: return Permuter<std::uint8_t>(job).run();
    case 2: return Permuter<std::uint16_t>(job).run();
    case 4: return Permuter<std::uint32_t>(job).run();
    case 8: return Permuter<std::uint64_t>(job).run();
    default: return Permuter<Bytes16>(job).run();
  }
}

// Draws with any bounds, for the tests that hold the backends together.
inline void draw_integers(const Stream& stream, const std::uint32_t* bounds, std::size_t n_rows, std::uint32_t* out) {
  for (std::size_t row = 0; row < n_rows; ++row) out[row] = draw_integer(stream, row, bounds[row]);
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
