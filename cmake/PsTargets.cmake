# Flags live on a target, and a room is a library with an arrow list.
add_library(ps_flags INTERFACE)
target_include_directories(ps_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(ps_flags INTERFACE _GNU_SOURCE)
target_compile_options(ps_flags INTERFACE
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla
    -fno-omit-frame-pointer
    $<$<BOOL:${PS_WERROR}>:-Werror>
    $<$<BOOL:${PS_COVERAGE}>:--coverage>)
target_link_options(ps_flags INTERFACE $<$<BOOL:${PS_COVERAGE}>:--coverage>)
foreach(sanitizer IN LISTS PS_SANITIZE)
    target_compile_options(ps_flags INTERFACE -fsanitize=${sanitizer} -fno-sanitize-recover=all)
    target_link_options(ps_flags INTERFACE -fsanitize=${sanitizer})
endforeach()
if(PS_FUZZ)
    target_compile_options(ps_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(ps_flags INTERFACE Threads::Threads)

# ps_room(name SOURCES ... NEEDS rooms to the right ... LIBS private libraries ...)
function(ps_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;NEEDS;LIBS" ${ARGN})
    add_library(ps_${name} STATIC ${ROOM_SOURCES})
    target_link_libraries(ps_${name} PUBLIC ps_flags ${ROOM_NEEDS} PRIVATE ${ROOM_LIBS})
endfunction()

# ps_unit_test(area.name SOURCE file LIBS rooms ...): run by ctest as unit.area.name
function(ps_unit_test name)
    cmake_parse_arguments(TEST "" "SOURCE;TIMEOUT" "LIBS" ${ARGN})
    string(REPLACE "." "_" target test_${name})
    add_executable(${target} ${TEST_SOURCE})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(${target} PRIVATE ps_flags ${TEST_LIBS} PkgConfig::CMOCKA)
    add_test(NAME unit.${name} COMMAND ${target})
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 60)
    endif()
    set_tests_properties(unit.${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} LABELS unit)
endfunction()

# ps_fuzz_target(name LIBS rooms ...): tests/fuzz/fuzz_<name>.c with corpus tests/fuzz/corpus/<name>/
function(ps_fuzz_target name)
    cmake_parse_arguments(FUZZ "" "" "LIBS" ${ARGN})
    add_executable(fuzz_${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c)
    target_link_libraries(fuzz_${name} PRIVATE ps_flags ${FUZZ_LIBS})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
