// The tests' own small framework: checks that print what they compared, and a list of tests.
//
//   TEST(name) { CHECK_EQ(actual, expected); }
//
// check_main.cpp runs all tests of an executable; its exit status is 0 only where every check
// passed, and every test made at least one and freed all objects of the library.
#pragma once

#include <cmath>
#include <sstream>
#include <string>

namespace bsq::test {

// A test in the executable's list.
struct Registration {
  Registration(const char* test_name, void (*test_body)()) noexcept;

  const char* name;
  void (*body)();
  const Registration* previous;
};

// Counts a check and prints it where it failed. Any thread may call it.
void record(bool passed, const char* file, int line, const std::string& text);

// For what a machine or build cannot test: prints the reason and counts as the test's check.
void skip(const char* file, int line, const std::string& reason);

template <class T>
std::string show(const T& value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

template <class A, class B>
void check_eq(const A& actual, const B& expected, const char* file, int line,
              const char* expression) {
  const bool passed = actual == expected;
  record(passed, file, line,
         passed ? ""
                : std::string(expression) + "\n    actual:   " + show(actual) +
                      "\n    expected: " + show(expected));
}

inline void check_near(double actual, double expected, double tolerance, const char* file, int line,
                       const char* expression) {
  const bool passed = std::abs(actual - expected) <= tolerance;  // false for NaN
  record(passed, file, line,
         passed ? ""
                : std::string(expression) + "\n    actual:   " + show(actual) +
                      "\n    expected: " + show(expected) + "\n    differ by " +
                      show(std::abs(actual - expected)) + ", allowed " + show(tolerance));
}

inline void check_contains(const std::string& text, const std::string& part, const char* file,
                           int line, const char* expression) {
  const bool passed = text.find(part) != std::string::npos;
  record(passed, file, line,
         passed ? ""
                : std::string(expression) + "\n    actual:   \"" + text +
                      "\"\n    expected: a text with \"" + part + "\"");
}

}  // namespace bsq::test

#define TEST(name)                                                          \
  static void test_##name();                                                \
  static const bsq::test::Registration register_##name{#name, test_##name}; \
  static void test_##name()

#define CHECK(condition) bsq::test::record((condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ(actual, expected) \
  bsq::test::check_eq((actual), (expected), __FILE__, __LINE__, #actual " == " #expected)
#define CHECK_NEAR(actual, expected, tolerance)                                \
  bsq::test::check_near((actual), (expected), (tolerance), __FILE__, __LINE__, \
                        #actual " is near " #expected)
#define CHECK_CONTAINS(text, part) \
  bsq::test::check_contains((text), (part), __FILE__, __LINE__, #text " contains " #part)
#define SKIP(reason) bsq::test::skip(__FILE__, __LINE__, (reason))
