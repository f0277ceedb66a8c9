# The Debian packages: a component is a package. packaging/build-deb runs all this.
#
#   panel         paneld, its unit, its settings; the documents, alert rules and dashboard of all
#   panel-agent   panel-agent, its unit, its settings, and the path unit that starts it after a join
#   panelctl      where that target is built
set(DEB_DIR ${CMAKE_CURRENT_LIST_DIR})
set(UNIT_DIR /lib/systemd/system)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# Debian's form of it: the licence's text, indented, an empty line as a dot.
file(STRINGS ${CMAKE_SOURCE_DIR}/LICENSE licence_lines)
list(SUBLIST licence_lines 4 -1 licence_lines)
file(READ ${DEB_DIR}/copyright.head copyright)
foreach(line IN LISTS licence_lines)
  if(line STREQUAL "")
    set(line ".")
  endif()
  string(APPEND copyright " ${line}\n")
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/deb/copyright "${copyright}")

# name: of the package. More files of it follow, as DESTINATION and files.
function(panel_package component name target section)
  install(TARGETS ${target} RUNTIME DESTINATION /usr/bin COMPONENT ${component})
  install(FILES ${CMAKE_SOURCE_DIR}/docs/man/${target}.${section}
    DESTINATION /usr/share/man/man${section} COMPONENT ${component})
  if(EXISTS ${CMAKE_SOURCE_DIR}/packaging/completion/${target})
    install(FILES ${CMAKE_SOURCE_DIR}/packaging/completion/${target}
      DESTINATION /usr/share/bash-completion/completions COMPONENT ${component})
  endif()
  install(FILES ${CMAKE_BINARY_DIR}/deb/copyright ${DEB_DIR}/changelog
    DESTINATION /usr/share/doc/${name} COMPONENT ${component})
endfunction()

panel_package(panel panel paneld 8)
install(FILES ${DEB_DIR}/paneld.service DESTINATION ${UNIT_DIR} COMPONENT panel)
install(FILES ${DEB_DIR}/paneld.json DESTINATION /etc/panel COMPONENT panel)
install(FILES ${DEB_DIR}/paneld.default DESTINATION /etc/default RENAME paneld COMPONENT panel)
# The documents lie as in the source, so that the links between them hold.
file(GLOB documents CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md ${CMAKE_SOURCE_DIR}/docs/*.svg
  ${CMAKE_SOURCE_DIR}/docs/openapi.yaml)
install(FILES ${documents} DESTINATION /usr/share/doc/panel/docs COMPONENT panel)
install(FILES ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md
  DESTINATION /usr/share/doc/panel COMPONENT panel)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/prometheus/panel.rules.yml
  ${CMAKE_SOURCE_DIR}/packaging/prometheus/panel.rules.test.yml
  DESTINATION /usr/share/doc/panel/examples/prometheus COMPONENT panel)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/grafana/panel.json
  DESTINATION /usr/share/doc/panel/examples/grafana COMPONENT panel)

panel_package(agent panel-agent panel-agent 8)
install(FILES ${DEB_DIR}/panel-agent.lintian DESTINATION /usr/share/lintian/overrides
  RENAME panel-agent COMPONENT agent)
install(FILES ${DEB_DIR}/panel-agent.service ${DEB_DIR}/panel-agent.path
  DESTINATION ${UNIT_DIR} COMPONENT agent)
install(FILES ${DEB_DIR}/panel-agent.json DESTINATION /etc/panel COMPONENT agent)
install(FILES ${DEB_DIR}/panel-agent.default DESTINATION /etc/default RENAME panel-agent
  COMPONENT agent)

set(CPACK_COMPONENTS_ALL panel agent)
if(TARGET panelctl)
  panel_package(ctl panelctl panelctl 1)
  list(APPEND CPACK_COMPONENTS_ALL ctl)
endif()

# Files are conffiles by being named; dpkg then keeps what an administrator wrote there.
file(WRITE ${CMAKE_BINARY_DIR}/deb/panel/conffiles "/etc/default/paneld\n/etc/panel/paneld.json\n")
file(WRITE ${CMAKE_BINARY_DIR}/deb/panel-agent/conffiles
  "/etc/default/panel-agent\n/etc/panel/panel-agent.json\n")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME panel)
set(CPACK_PACKAGE_VENDOR "The Panel authors")
set(CPACK_PACKAGE_CONTACT "The Panel authors <authors@panel.invalid>")
set(CPACK_SET_DESTDIR ON) # all destinations are absolute
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS ${CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
set(CPACK_PRE_BUILD_SCRIPTS ${DEB_DIR}/finish.cmake)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_PANEL_PACKAGE_NAME panel)
set(CPACK_DEBIAN_PANEL_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PANEL_PACKAGE_DEPENDS "adduser, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PANEL_PACKAGE_SUGGESTS "panel-agent")
set(CPACK_DEBIAN_PANEL_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/deb/panel/conffiles
  ${DEB_DIR}/panel/postinst ${DEB_DIR}/panel/prerm ${DEB_DIR}/panel/postrm)
set(CPACK_COMPONENT_PANEL_DESCRIPTION "control plane for containers of many people on many machines
paneld serves a REST API, keeps what is wanted of each container in a database
that loses nothing, and drives the agents of all nodes until it is so.
.
Each node needs the package panel-agent, and Docker.")

set(CPACK_DEBIAN_AGENT_PACKAGE_NAME panel-agent)
set(CPACK_DEBIAN_AGENT_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS
  "adduser, ca-certificates, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS "docker.io | docker-ce")
set(CPACK_DEBIAN_AGENT_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/deb/panel-agent/conffiles
  ${DEB_DIR}/panel-agent/postinst ${DEB_DIR}/panel-agent/prerm ${DEB_DIR}/panel-agent/postrm)
set(CPACK_COMPONENT_AGENT_DESCRIPTION "node agent of Panel: drives this machine's Docker Engine
panel-agent joins this machine to a panel and keeps its containers as the
panel wants them. Containers run on while it is stopped or upgraded.
.
Its user is a member of the group docker, and so is as powerful as root.")

set(CPACK_DEBIAN_CTL_PACKAGE_NAME panelctl)
set(CPACK_DEBIAN_CTL_PACKAGE_SECTION admin)
set(CPACK_COMPONENT_CTL_DESCRIPTION "command line of Panel
panelctl does over its REST API whatever a panel can do: nodes, instances,
users, images, keys, in tables for people or JSON for scripts.")
include(CPack)
