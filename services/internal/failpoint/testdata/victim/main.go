// Command victim comes to points until it ends, or dies.
package main

import (
	"fmt"

	"github.com/rosterhq/roster/services/internal/failpoint"
)

var (
	begun = failpoint.New("victim.begun")
	step  = failpoint.New("victim.step")
)

func main() {
	begun.Hit("")
	for _, about := range []string{"one", "two", "one", "two"} {
		step.Hit(about)
		fmt.Println(about)
	}
}
