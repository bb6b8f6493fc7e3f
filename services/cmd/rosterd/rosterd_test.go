package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rosterd runs a command as main does.
func rosterd(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	var written bytes.Buffer
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(&written)
	err = cmd.ExecuteContext(t.Context())
	return written.String(), err
}

func TestHelpDocumentsEverySetting(t *testing.T) {
	t.Parallel()
	for _, r := range roles {
		help, err := rosterd(t, r.name, "--help")
		require.NoError(t, err)
		for _, f := range reflect.VisibleFields(reflect.TypeOf(r.make()).Elem()) {
			name := f.Tag.Get("env")
			if name == "" || name == "-" {
				continue
			}
			require.NotEmpty(t, f.Tag.Get("usage"), "%s of %s", f.Name, r.name)
			require.Contains(t, help, "--"+strings.ToLower(strings.ReplaceAll(name, "_", "-"))+" ", r.name)
			require.Contains(t, help, f.Tag.Get("usage")+" (ROSTER_"+name+")", r.name)
		}
	}
}

// what every role is told, and what those with a database are told beside it.
var (
	everyRole = []string{"--tls-cert=c.pem", "--tls-key=c.key", "--tls-ca=ca.pem"}
	stateful  = []string{"--database-url=postgres://x@localhost/x", "--key-file=key", "--smtp-addr=localhost:25"}
)

func TestConfigCheck(t *testing.T) {
	t.Parallel()

	t.Run("GoodSettingsAreGood", func(t *testing.T) {
		t.Parallel()
		for _, r := range roles {
			args := append([]string{"config", "check", r.name}, everyRole...)
			if r.name != "gateway" {
				args = append(args, stateful...)
			}
			said, err := rosterd(t, args...)
			require.NoError(t, err)
			require.Equal(t, "The settings of "+r.name+" are good.\n", said)
		}
	})

	t.Run("WhatIsMissingIsNamedAllAtOnce", func(t *testing.T) {
		t.Parallel()
		for _, r := range roles {
			wanted := []string{"ROSTER_TLS_CERT"}
			if r.name != "gateway" {
				wanted = append(wanted, "ROSTER_DATABASE_URL", "ROSTER_KEY_FILE", "ROSTER_SMTP_ADDR")
			}
			_, checked := rosterd(t, "config", "check", r.name)
			_, started := rosterd(t, r.name)
			require.Error(t, checked)
			for _, name := range wanted {
				require.ErrorContains(t, checked, name)
			}
			require.EqualError(t, started, checked.Error(), "the role itself says the same")
		}
	})

	t.Run("ATypoInTheFileIsAnError", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "membership.yaml")
		require.NoError(t, os.WriteFile(file, []byte("smpt-addr: mail:25\n"), 0o600))
		_, err := rosterd(t, "config", "check", "membership", "--config", file)
		require.ErrorContains(t, err, `there is no setting "smpt-addr"`)
	})

	t.Run("ASettingOfAnotherRoleIsAnError", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		require.NoError(t, os.WriteFile(file, []byte("key-file: key\n"), 0o600))
		_, err := rosterd(t, "config", "check", "gateway", "--config", file)
		require.ErrorContains(t, err, `there is no setting "key-file"`)
	})
}

func TestCerts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")

	said, err := rosterd(t, "certs", "--out", dir)
	require.NoError(t, err)
	require.Equal(t, 2+len(roles), strings.Count(said, "made"), "the authority, the roles and NATS")
	for _, r := range roles {
		require.FileExists(t, filepath.Join(dir, r.name+".key"))
	}

	said, err = rosterd(t, "certs", "--out", dir, "--role", "gateway,billing")
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(said, "kept"), said)

	said, err = rosterd(t, "certs", "--out", dir, "--client", "console-tail", "--nats-host", "nats.internal")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(said, "made"), "the client, and the server that moved: %s", said)
	require.FileExists(t, filepath.Join(dir, "console-tail.key"))

	_, err = rosterd(t, "certs", "--out", dir, "--role", "gate")
	require.ErrorContains(t, err, "it is one of membership, invitation, identity, billing, gateway, nats")
	_, err = rosterd(t, "certs", "--out", dir, "--client", "billing")
	require.ErrorContains(t, err, "that is a role")
	_, err = rosterd(t, "certs")
	require.ErrorContains(t, err, "out")
}

func TestMigrateNamesItsServices(t *testing.T) {
	t.Parallel()
	_, err := rosterd(t, "migrate", "gateway", "--owner-database-url", "postgres://x")
	require.ErrorContains(t, err, "gateway")
	help, err := rosterd(t, "migrate", "--help")
	require.NoError(t, err)
	for _, service := range []string{"membership", "invitation", "identity", "billing"} {
		require.Contains(t, help, service)
	}
}
