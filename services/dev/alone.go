package dev

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock takes the data folder for this process, for as long as the file is open: two suites on the same data would
// fight. The system lets go of it when the process ends, however it ends.
func lock(data string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(file.Name())
		file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", data, err)
		}
		return nil, fmt.Errorf("another rosterd dev, process %s, works in %s: stop it, or choose another folder with --data",
			strings.TrimSpace(string(holder)), data)
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := fmt.Fprintln(file, os.Getpid()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// free finds out that somebody else listens at one of our addresses before anything is started, and can name the flag
// that chooses another.
func free(c Config) error {
	for _, wanted := range []struct{ flag, address string }{
		{"--http", c.HTTP}, {"--grpc", c.GRPC}, {"--nats", c.NATS}, {"--admin", c.Admin},
	} {
		if wanted.address == "" {
			continue // a free port, or none
		}
		listener, err := net.Listen("tcp", wanted.address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("something listens on %s already, perhaps another rosterd dev: stop it, or choose another address with %s",
				wanted.address, wanted.flag)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", wanted.flag, err)
		}
		defer listener.Close() // until all are checked, which may not be the same
	}
	return nil
}
