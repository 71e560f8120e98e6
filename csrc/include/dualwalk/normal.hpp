// Standard normal noise of one walk, step and group of four features (Box and Muller on Philox words), one counter at a time.
#pragma once

#include <math.h>  // its names are nvcc's too

#include "elementary.hpp"
#include "philox.hpp"

namespace dualwalk {

DUALWALK_FN float square_root(float x) { return sqrtf(x); }
DUALWALK_FN double square_root(double x) { return sqrt(x); }

// (word + 1/2) / 2^32 in (0, 1], rounded once: a float takes the halves of a word, each of which it can hold.
DUALWALK_FN void uniform(std::uint32_t word, double& out) {
  constexpr double to_unit = 1.0 / 4294967296.0;
  out = word * to_unit + 0.5 * to_unit;
}
DUALWALK_FN void uniform(std::uint32_t word, float& out) {
  constexpr double to_unit = 1.0 / 4294967296.0;
  const float high = static_cast<float>(word >> 16), low = static_cast<float>(word & 0xFFFFu);
  out = high * static_cast<float>(65536.0 * to_unit) + (low * static_cast<float>(to_unit) + static_cast<float>(0.5 * to_unit));
}

// out[0 .. 4) are the normals of features 4 group .. 4 group + 3.
template <class T>
DUALWALK_FN void four_normals(std::uint64_t seed, std::uint32_t walk, std::uint32_t step, std::uint32_t group, T (&out)[4]) {
  const Words words = philox({{group, step, walk, NOISE}}, seed);
  for (int k = 0; k < 4; k += 2) {
    T first, second, sin, cos;
    uniform(words.word[k], first);
    uniform(words.word[k + 1], second);
    const T radius = square_root(logarithm(first) * T{-2});
    sin_cos_turns(second, sin, cos);
    out[k] = radius * cos;
    out[k + 1] = radius * sin;
  }
}

}  // namespace dualwalk
