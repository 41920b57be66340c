// doctest itself, for programs with a main of their own, too.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
