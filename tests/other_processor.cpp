// Runs kernels of this processor's level on arrays from files; tests/test_other_processor.py compiles it for aarch64 and
// compares what it writes with the reference. Usage: job input output n d (and, for permute, operation seed).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "dualwalk/shuffle.hpp"
#include "kernels.hpp"

using namespace dualwalk;

namespace {

template <class T>
std::vector<T> read_file(const char* path) {
  std::FILE* const file = std::fopen(path, "rb");
  if (!file) std::exit(2);
  std::fseek(file, 0, SEEK_END);
  std::vector<T> values(std::ftell(file) / sizeof(T));
  std::rewind(file);
  if (std::fread(values.data(), sizeof(T), values.size(), file) != values.size()) std::exit(2);
  std::fclose(file);
  return values;
}

template <class T>
void write_file(const char* path, const std::vector<T>& values) {
  std::FILE* const file = std::fopen(path, "wb");
  if (!file || std::fwrite(values.data(), sizeof(T), values.size(), file) != values.size() || std::fclose(file)) std::exit(2);
}

bool permuted(const char* input, const char* output, std::size_t n, std::size_t d, std::uint32_t operation, std::uint64_t seed) {
  const auto x = read_file<float>(input);
  std::vector<float> out(n * d);
  std::vector<std::ptrdiff_t> offset;
  std::vector<std::int32_t> block;
  for (std::size_t c = 0; c < d; ++c) {
    offset.push_back(static_cast<std::ptrdiff_t>(c * sizeof(float)));
    block.push_back(static_cast<std::int32_t>(c));
  }
  Permutation job{};
  job.x = reinterpret_cast<const char*>(x.data());
  job.row_stride = static_cast<std::ptrdiff_t>(d * sizeof(float));
  job.column_offset = offset.data();
  job.block = block.data();
  job.out = reinterpret_cast<char*>(out.data());
  job.item_size = sizeof(float);
  job.n_copies = 1;
  job.n_rows = n;
  job.n_columns = d;
  job.operation = operation;
  job.longest = LONGEST_CHAIN;
  job.seed = seed;
  job.n_threads = 2;
  const bool done = kernels()->permute(job);
  write_file(output, out);
  return done;
}

// The values of the n rows, then their gradients.
template <class T>
bool log_mean_exps(const char* input, const char* output, std::size_t n, std::size_t d) {
  const auto f = read_file<T>(input);
  std::vector<double> out(n + n * d);
  std::vector<T> gradient(n * d);
  LogMeanExp<T> job{};
  job.f = f.data();
  job.gradient = gradient.data();
  job.value = out.data();
  job.n_outer = n;
  job.n = d;
  job.n_inner = 1;
  job.n_threads = 2;
  const bool done = kernels()->of(T{}).log_mean_exp(job);
  for (std::size_t i = 0; i < n * d; ++i) out[n + i] = gradient[i];
  write_file(output, out);
  return done;
}

// Ten steps of n walks on an MLP dual; the input holds x (n, d), one hidden layer's weights (d, d) in panels and their transpose
// in panels, and the last layer's weights (d) in whole lines.
bool walked(const char* input, const char* output, std::size_t n, std::size_t d) {
  auto numbers = read_file<float>(input);
  const std::size_t width[] = {d, d, 1};
  const std::size_t panels = (d + 47) / 48 * 48 * d;
  const std::vector<float> bias(d + 16);
  const float* const forward[] = {numbers.data() + n * d};
  const float* const backward[] = {forward[0] + panels};
  const float* const biases[] = {bias.data(), bias.data()};
  const MlpDual<float> dual{2, width, forward, backward, biases, backward[0] + panels};
  std::vector<double> f(n);
  std::vector<std::int64_t> steps(n);
  std::vector<char> reached(n);
  Walk<float> walk{};
  walk.x = numbers.data();
  walk.f = f.data();
  walk.steps = steps.data();
  walk.reached = reinterpret_cast<bool*>(reached.data());
  walk.n_walks = n;
  walk.n_features = d;
  walk.n_steps = 10;
  walk.step_size = 0.1f;
  walk.noise_scale = 0.01f * std::sqrt(0.2f);
  walk.tolerance = 1e-3f;
  walk.seed = 3;
  walk.n_threads = 2;
  const bool done = kernels()->f32.walk_mlp(walk, dual);
  numbers.resize(n * d);
  write_file(output, numbers);
  return done;
}

}  // namespace

int main(int n_arguments, char** argument) {
  if (n_arguments < 6) return 2;
  const std::string job = argument[1];
  const char *const input = argument[2], *const output = argument[3];
  const std::size_t n = std::strtoull(argument[4], nullptr, 10), d = std::strtoull(argument[5], nullptr, 10);
  std::puts(kernels()->level);
  if (job == "permute" && n_arguments == 8) {
    const auto operation = static_cast<std::uint32_t>(std::strtoul(argument[6], nullptr, 10));
    return permuted(input, output, n, d, operation, std::strtoull(argument[7], nullptr, 10)) ? 0 : 1;
  }
  if (job == "log_mean_exp_float32") return log_mean_exps<float>(input, output, n, d) ? 0 : 1;
  if (job == "log_mean_exp_float64") return log_mean_exps<double>(input, output, n, d) ? 0 : 1;
  if (job == "walk_mlp") return walked(input, output, n, d) ? 0 : 1;
  return 2;
}
