// One function a room of csrc/cuda, which adds that room's jobs to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace dualwalk::cuda {

void bind_draws(pybind11::module_& m);
void bind_permute(pybind11::module_& m);
void bind_objective(pybind11::module_& m);
void bind_walks(pybind11::module_& m);
void bind_sampling(pybind11::module_& m);
void bind_nodes(pybind11::module_& m);
void bind_tree(pybind11::module_& m);
void bind_controls(pybind11::module_& m);  // where tests emulate the device

}  // namespace dualwalk::cuda
