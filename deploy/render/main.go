// Command render writes what is generated in deploy. It runs there: go generate ./deploy.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/flyball/flyball/deploy"
)

func main() {
	if err := deploy.Render(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
