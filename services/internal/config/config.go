// Package config reads a role's settings: from flags, then the environment, then a file, then the defaults. The fields
// of a struct are the documentation: `env` names the variable behind ROSTER_, the flag has the same name in lower
// case with dashes, `usage` explains it.
package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Prefix of every environment variable.
const Prefix = "ROSTER_"

// Loader reads one struct.
type Loader struct {
	into  any
	flags *pflag.FlagSet
	file  *string
}

// Bind adds a flag for every field of into, a pointer to a struct, and one for the file.
func Bind(flags *pflag.FlagSet, into any) *Loader {
	l := &Loader{into: into, flags: flags}
	for _, f := range fields(into) {
		flags.String(flagName(f.name), f.byDefault, f.usage+" ("+Prefix+f.name+")")
	}
	l.file = flags.String("config", "", "YAML file with settings, named like the flags ("+Prefix+"CONFIG)")
	return l
}

// Load fills the struct. A name that nobody knows, in the file, is an error: a typo must not pass for a default.
func (l *Loader) Load() error {
	known := fields(l.into)
	values, err := l.fromFile(known)
	if err != nil {
		return err
	}
	for _, f := range known {
		if value, ok := os.LookupEnv(Prefix + f.name); ok {
			values[Prefix+f.name] = value
		}
		if flag := l.flags.Lookup(flagName(f.name)); flag.Changed {
			values[Prefix+f.name] = flag.Value.String()
		}
	}
	if err := env.ParseWithOptions(l.into, env.Options{Prefix: Prefix, Environment: values}); err != nil {
		return fmt.Errorf("settings: %w", inWords(err, known, values))
	}
	return nil
}

// inWords says of settings what env says of Go's fields.
func inWords(err error, known []field, values map[string]string) error {
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return err
	}
	said := make([]error, 0, len(all.Errors))
	for _, err := range all.Errors {
		wrong, ok := errors.AsType[env.ParseError](err)
		at := slices.IndexFunc(known, func(f field) bool { return f.goName == wrong.Name })
		if !ok || at < 0 {
			said = append(said, err)
			continue
		}
		name := known[at].name
		why := wrong.Err.Error()
		switch {
		case errors.Is(wrong.Err, strconv.ErrRange):
			why = "is out of range"
		case errors.Is(wrong.Err, strconv.ErrSyntax) && wrong.Type.Kind() != reflect.Bool:
			why = "is not a number"
		}
		said = append(said, fmt.Errorf("--%s (%s): %q %s", flagName(name), Prefix+name, values[Prefix+name], why))
	}
	return errors.Join(said...)
}

func (l *Loader) fromFile(known []field) (map[string]string, error) {
	values := make(map[string]string)
	file := *l.file
	if file == "" {
		file = os.Getenv(Prefix + "CONFIG")
	}
	if file == "" {
		return values, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	var content map[string]string
	if err := yaml.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("settings: %s: %w", file, err)
	}
	for _, name := range slices.Sorted(maps.Keys(content)) {
		if !slices.ContainsFunc(known, func(f field) bool { return flagName(f.name) == name }) {
			return nil, fmt.Errorf("settings: %s: there is no setting %q", file, name)
		}
		values[Prefix+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = content[name]
	}
	return values, nil
}

type field struct{ name, goName, usage, byDefault string }

// fields lists the settings of a struct, in order.
func fields(of any) (all []field) {
	t := reflect.TypeOf(of).Elem()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("env") == "" {
			all = append(all, fields(reflect.New(f.Type).Interface())...)
			continue
		}
		if name := f.Tag.Get("env"); name != "" && name != "-" {
			all = append(all, field{name: name, goName: f.Name, usage: f.Tag.Get("usage"), byDefault: f.Tag.Get("envDefault")})
		}
	}
	return all
}

func flagName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) }
