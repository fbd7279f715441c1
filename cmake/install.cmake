# SPDX-License-Identifier: MIT
# Installs what `find_package(countersign)` finds: headers, the static library (libsodium's part inside) and its licence, and
# countersign-json beside it.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/countersign")

install(TARGETS countersign countersign-knock countersign-json EXPORT countersign-targets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY include/countersign DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp" PATTERN "*.def")
install(EXPORT countersign-targets NAMESPACE countersign:: FILE countersign-config.cmake DESTINATION "${package_dir}")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES "${COUNTERSIGN_SODIUM_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME LICENSE.libsodium)
install(FILES "${COUNTERSIGN_BEARSSL_DIR}/LICENSE.txt" DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME LICENSE.bearssl)

write_basic_package_version_file("${PROJECT_BINARY_DIR}/countersign-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/countersign-config-version.cmake" DESTINATION "${package_dir}")
