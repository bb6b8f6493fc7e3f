package devpg

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestMain lets the test binary be the process that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DEVPG_TEST_VICTIM"); dir != "" {
		beVictim(dir)
	}
	os.Exit(m.Run())
}

func beVictim(dir string) {
	c, err := Start(context.Background(), dir, Options{Fast: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.DSN("postgres", "postgres"))
	select {}
}

func TestServerEndsWithItsKilledParent(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), "DEVPG_TEST_VICTIM="+dir)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	victim.Wait()

	// At once: the start waits for the old server to finish, and fails if it stays.
	execute(t, mustStart(t, dir), "SELECT 1")
}
