# libseqrt, static and shared. It is what programs link, so it carries its public headers, libm and threads with it.
add_library(seqc::seqrt ALIAS seqrt)
# The optimizer's loops are made for each width of vectors: the same operations in each, so the same bits.
set_source_files_properties(runtime/optimizer.c PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
get_target_property(runtime_sources seqrt SOURCES)
add_library(seqrt_shared SHARED ${runtime_sources})
add_library(seqc::seqrt_shared ALIAS seqrt_shared)
set_target_properties(seqrt_shared PROPERTIES OUTPUT_NAME seqrt VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_include_directories(seqrt_shared PRIVATE ${CMAKE_BINARY_DIR}/include/runtime)
target_compile_options(seqrt_shared PRIVATE ${SEQC_WARNINGS})
target_compile_definitions(seqrt_shared PRIVATE SEQC_VERSION="${PROJECT_VERSION}")

find_package(Threads REQUIRED)
foreach(library seqrt seqrt_shared)
  target_include_directories(${library} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/runtime/include>
                                               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_options(${library} PRIVATE $<$<CONFIG:Release>:-O3> -fno-math-errno)
  target_link_libraries(${library} PUBLIC m Threads::Threads)
endforeach()
