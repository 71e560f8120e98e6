# Configures and builds csrc/cuda for the top CMakeLists.txt. A failure ends the whole build, or, where `wanted` is AUTO, leaves
# the CUDA kernels out.
set(parallel "")
if(NOT DEFINED ENV{CMAKE_BUILD_PARALLEL_LEVEL})
  cmake_host_system_information(RESULT n_cores QUERY NUMBER_OF_LOGICAL_CORES)
  set(parallel --parallel ${n_cores})
endif()

execute_process(COMMAND "${CMAKE_COMMAND}" -S "${source}" -B "${build}" -G "${generator}" -C "${build}/settings.cmake"
                RESULT_VARIABLE failed)
if(NOT failed)
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build}" ${parallel} RESULT_VARIABLE failed)
endif()
if(failed)
  file(REMOVE_RECURSE "${build}/module")
  file(MAKE_DIRECTORY "${build}/module")
  if(NOT wanted STREQUAL "AUTO")
    message(FATAL_ERROR "DUALWALK_CUDA=${wanted}, but the CUDA kernels (_cuda) could not be built: see above")
  endif()
  message(WARNING "The CUDA kernels (_cuda) could not be built, and are left out: see above. All else is built.")
endif()
