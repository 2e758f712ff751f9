# What comes from outside: LLVM 19 (codegen alone sees it) and cJSON. tools/install-packages brings both.
find_program(SEQC_LLVM_CONFIG NAMES llvm-config-19 HINTS /usr/lib/llvm-19/bin)
if(NOT SEQC_LLVM_CONFIG)
  message(FATAL_ERROR "llvm-config-19 is missing: install llvm-19-dev, or run tools/install-packages")
endif()
execute_process(COMMAND ${SEQC_LLVM_CONFIG} --includedir OUTPUT_VARIABLE llvm_include
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SEQC_LLVM_CONFIG} --libdir OUTPUT_VARIABLE llvm_libraries
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SEQC_LLVM_CONFIG} --bindir OUTPUT_VARIABLE SEQC_LLVM_TOOLS
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
find_library(SEQC_LLVM_LIBRARY NAMES LLVM-19 LLVM HINTS ${llvm_libraries} NO_DEFAULT_PATH REQUIRED)
add_library(seqc_llvm INTERFACE)
target_include_directories(seqc_llvm SYSTEM INTERFACE ${llvm_include})
target_link_libraries(seqc_llvm INTERFACE ${SEQC_LLVM_LIBRARY})

find_path(SEQC_CJSON_INCLUDE cjson/cJSON.h)
find_library(SEQC_CJSON_LIBRARY cjson)
if(NOT SEQC_CJSON_INCLUDE OR NOT SEQC_CJSON_LIBRARY)
  message(FATAL_ERROR "cJSON is missing: install libcjson-dev, or run tools/install-packages")
endif()
add_library(seqc_cjson INTERFACE)
target_include_directories(seqc_cjson SYSTEM INTERFACE ${SEQC_CJSON_INCLUDE})
target_link_libraries(seqc_cjson INTERFACE ${SEQC_CJSON_LIBRARY})
