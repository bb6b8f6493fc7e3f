package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// disk is a small file system in memory.
type disk struct {
	name string
	path string
	size int64
}

func (d *disk) mount() error {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	return mount(d.path, d.size)
}

func (d *disk) unmount() error { return unmount(d.path) }

func (d *disk) ballast() string { return filepath.Join(d.path, "ballast") }

// fill takes all that is left.
func (d *disk) fill() error {
	file, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
	return nil
}

// mount and unmount are what this system has for file systems in memory; root may use them.
var (
	mount   = func(string, int64) error { return errors.ErrUnsupported }
	unmount = func(string) error { return nil }
)
