// log-mean-exp of every form: rows and segments are spans of consecutive elements, other axes are columns.
#pragma once

#include "objective/logmeanexp_columns.hpp"
#include "objective/logmeanexp_spans.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
bool log_mean_exp(const LogMeanExp<T>& job) {
  return job.n_inner == 1 ? LogMeanExpSpans<T>(job).run() : LogMeanExpColumns<T>(job).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
