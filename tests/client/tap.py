"""unittest's cases as TAP."""
import sys
import unittest


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n = 0

    def line(self, test, good, note="", directive=""):
        self.n += 1
        name = test.id().split(".", 1)[-1]
        print("%s %d - %s%s" % ("ok" if good else "not ok", self.n, name, directive))
        for text in note.splitlines():
            print("# " + text)
        sys.stdout.flush()

    def addSuccess(self, test):
        self.line(test, True)

    def addSkip(self, test, reason):
        self.line(test, True, "", " # SKIP " + reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False, self.errors[-1][1])


def main(module):
    result = Result()
    unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module]).run(result)
    print("1..%d" % result.n)
    sys.exit(0 if result.wasSuccessful() else 1)
