# seqc_add_model(TARGET MODEL.seq [NAME NAME] [OPTIONS OPTION...])
#
# Makes the library TARGET out of a model file: seqc writes NAME.o and NAME.h (NAME is the file's own name when it is not
# given) into the current build folder. Who links TARGET can include "NAME.h" and gets libseqrt with it. A change of the model, of a file
# that it imports or of the compiler compiles it again.
function(seqc_add_model target model)
  cmake_parse_arguments(PARSE_ARGV 2 model "" "NAME" "OPTIONS")
  if(model_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "seqc_add_model(${target}): unknown argument '${model_UNPARSED_ARGUMENTS}'")
  endif()
  cmake_path(ABSOLUTE_PATH model BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
  if(NOT model_NAME)
    cmake_path(GET model STEM model_NAME)
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${target}.models)
  file(MAKE_DIRECTORY ${folder})
  set(object ${folder}/${model_NAME}.o)
  add_custom_command(
    OUTPUT ${object} ${folder}/${model_NAME}.h
    COMMAND seqc::seqc ${model} -o ${object} -MD -MF ${object}.d -MT ${object} ${model_OPTIONS}
    DEPENDS ${model} seqc::seqc
    DEPFILE ${object}.d
    COMMENT "Compiling model ${model_NAME}"
    VERBATIM)
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
  add_library(${target} STATIC ${object} ${folder}/${model_NAME}.h)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
  target_include_directories(${target} PUBLIC ${folder})
  target_link_libraries(${target} PUBLIC seqc::seqrt)
endfunction()
