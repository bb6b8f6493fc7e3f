package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/config"
)

// Shared is embedded, as what all roles are told.
type Shared struct {
	Address string `env:"ADDRESS" envDefault:"default:1" usage:"where"`
}

type settings struct {
	Shared
	Conns   int32  `env:"POOL_CONNS" envDefault:"16" usage:"how many"`
	Token   string `env:"TOKEN" usage:"a secret"`
	Handed  func() `env:"-"`
	Another any
}

// read binds and loads as a command does. What names no way is not given.
func read(t *testing.T, flags []string, file string) (settings, error) {
	t.Helper()
	var s settings
	set := pflag.NewFlagSet("role", pflag.ContinueOnError)
	loader := config.Bind(set, &s)
	if file != "" {
		path := filepath.Join(t.TempDir(), "role.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		flags = append(flags, "--config", path)
	}
	if err := set.Parse(flags); err != nil {
		return s, err
	}
	err := loader.Load()
	return s, err
}

// No t.Parallel: the environment is everybody's.
func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		env   map[string]string
		file  string
		want  settings
	}{
		"TheDefaultWithoutAnything": {want: settings{Shared: Shared{"default:1"}, Conns: 16}},
		"TheFileBeatsTheDefault": {
			file: "address: file:1\npool-conns: 2\ntoken: 'yes'\n",
			want: settings{Shared: Shared{"file:1"}, Conns: 2, Token: "yes"},
		},
		"TheEnvironmentBeatsTheFile": {
			env:  map[string]string{"ROSTER_ADDRESS": "env:1", "ROSTER_POOL_CONNS": "3"},
			file: "address: file:1\npool-conns: 2\ntoken: file\n",
			want: settings{Shared: Shared{"env:1"}, Conns: 3, Token: "file"},
		},
		"TheFlagBeatsAll": {
			flags: []string{"--address", "flag:1", "--pool-conns=4"},
			env:   map[string]string{"ROSTER_ADDRESS": "env:1", "ROSTER_POOL_CONNS": "3", "ROSTER_TOKEN": "env"},
			file:  "address: file:1\npool-conns: 2\ntoken: file\n",
			want:  settings{Shared: Shared{"flag:1"}, Conns: 4, Token: "env"},
		},
		"AFlagThatIsEmptyBeatsTheRestToo": {
			flags: []string{"--token="},
			env:   map[string]string{"ROSTER_TOKEN": "env"},
			want:  settings{Shared: Shared{"default:1"}, Conns: 16},
		},
		"AnEmptyFileIsNoProblem": {file: "# nothing yet\n", want: settings{Shared: Shared{"default:1"}, Conns: 16}},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			got, err := read(t, c.flags, c.file)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestLoadFindsTheFileByTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "role.yaml")
	require.NoError(t, os.WriteFile(path, []byte("address: file:1\n"), 0o600))
	t.Setenv("ROSTER_CONFIG", path)
	got, err := read(t, nil, "")
	require.NoError(t, err)
	require.Equal(t, "file:1", got.Address)
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		env   map[string]string
		file  string
		want  string // is part of the sentence
	}{
		"AnUnknownKeyInTheFile":         {file: "adress: a:1\n", want: `role.yaml: there is no setting "adress"`},
		"TheNameOfAVariableInTheFile":   {file: "ROSTER_ADDRESS: a:1\n", want: `there is no setting "ROSTER_ADDRESS"`},
		"AKeyTwice":                     {file: "token: a\ntoken: b\n", want: "already defined"},
		"ANestedValue":                  {file: "address: {host: a}\n", want: "role.yaml"},
		"AFileThatIsNoYAML":             {file: "address = a\n", want: "role.yaml"},
		"AFileThatIsNotThere":           {env: map[string]string{"ROSTER_CONFIG": "/nowhere/role.yaml"}, want: "/nowhere/role.yaml: no such file"},
		"ANumberInTheFileThatIsNone":    {file: "pool-conns: many\n", want: `--pool-conns (ROSTER_POOL_CONNS): "many" is not a number`},
		"ANumberInTheEnvironmentIsNone": {env: map[string]string{"ROSTER_POOL_CONNS": "many"}, want: `--pool-conns (ROSTER_POOL_CONNS): "many" is not a number`},
		"ANumberInAFlagThatIsNone":      {flags: []string{"--pool-conns", "1.5"}, want: `--pool-conns (ROSTER_POOL_CONNS): "1.5" is not a number`},
		"ANumberThatIsTooLarge":         {flags: []string{"--pool-conns", "3000000000"}, want: `"3000000000" is out of range`},
		"AnUnknownFlag":                 {flags: []string{"--adress", "a:1"}, want: "unknown flag: --adress"},
		"AFieldThatTheProcessHandsOver": {file: "handed: x\n", want: `there is no setting "handed"`},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			_, err := read(t, c.flags, c.file)
			require.ErrorContains(t, err, c.want)
		})
	}
}
