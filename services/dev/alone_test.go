package dev

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneSuiteWorksInAFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, err := lock(data)
	require.NoError(t, err)
	_, err = lock(data)
	require.EqualError(t, err, fmt.Sprintf(
		"another rosterd dev, process %d, works in %s: stop it, or choose another folder with --data", os.Getpid(), data))
	require.NoError(t, first.Close())
	second, err := lock(data)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestAddressesAreFree(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	for flag, c := range map[string]Config{
		"--http": {HTTP: address}, "--grpc": {GRPC: address}, "--nats": {NATS: address}, "--admin": {Admin: address},
	} {
		require.EqualError(t, free(c), "something listens on "+address+
			" already, perhaps another rosterd dev: stop it, or choose another address with "+flag)
	}
	require.ErrorContains(t, free(Config{GRPC: "9090"}), "--grpc: ")
	require.NoError(t, free(Config{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0"}))

	require.NoError(t, taken.Close())
	require.ErrorContains(t, free(Config{HTTP: address, GRPC: address}), "--grpc", "not twice either")
}
