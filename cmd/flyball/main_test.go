package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run flyball, as it is built here.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(execute(os.Args[1:]))
	}
	flyball := func() { os.Exit(execute(os.Args[1:])) }
	testscript.Main(m, map[string]func(){"flyball": flyball, "kubectl-flyball": flyball})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}
