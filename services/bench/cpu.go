package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpu is what processes have used. On a machine that others use too it says more than the clock on the wall.
type cpu struct{ client, server, postgres time.Duration }

func (c cpu) since(before cpu) cpu {
	return cpu{c.client - before.client, c.server - before.server, c.postgres - before.postgres}
}

// tick is what /proc counts in; USER_HZ is 100 on every Linux that we know.
const tick = 10 * time.Millisecond

// process is what /proc/PID/stat says.
type process struct {
	parent    int
	own, dead time.Duration // dead: of children that have ended
}

func readProcess(pid int) (p process, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before may hold anything
	fields := strings.Fields(rest)
	number := func(i int) int {
		n, _ := strconv.Atoi(fields[i])
		return n
	}
	ticks := func(i int) time.Duration { return time.Duration(number(i)+number(i+1)) * tick }
	return process{parent: number(1), own: ticks(11), dead: ticks(13)}, nil
}

// used tells what this process, the suite's and PostgreSQL's have used so far. Who has ended meanwhile counts as zero.
func used(server, postmaster int) (c cpu) {
	me, _ := readProcess(os.Getpid())
	suite, _ := readProcess(server)
	postgres, _ := readProcess(postmaster)
	c = cpu{me.own, suite.own, postgres.own + postgres.dead}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range all {
		pid, _ := strconv.Atoi(filepath.Base(folder))
		if p, err := readProcess(pid); err == nil && p.parent == postmaster {
			c.postgres += p.own
		}
	}
	return c
}
