package gateway

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The specification is written by `make generate`. Its own words are in the protos.
//
//go:embed openapi.json
var specification []byte

// The reference of the events is written by `make generate` too, and served as it is.
//
//go:embed asyncapi.json
var eventSpecification []byte

// reference is the API reference: the specification for programs, and the same as a page.
type reference struct {
	JSON   []byte
	Groups []group
	Types  []schemaType
}

// group is one proto service.
type group struct {
	Name, Summary string
	Operations    []operation
}

type operation struct {
	ID, Method, Path, Summary string
	Reasons                   []string
	Parameters, Body          []field
	Answer                    typeName
}

type schemaType struct {
	Name, Summary string
	Values        []string
	Fields        []field
}

type field struct {
	Name, Where, Summary string
	Type                 typeName
	Required             bool
}

// typeName is a type as a field shows it; Link leads to its description.
type typeName struct{ Text, Link string }

// The parts of OpenAPI that the page shows.
type (
	openAPI struct {
		Paths      map[string]map[string]openAPIOperation `json:"paths"`
		Components struct {
			Schemas map[string]*schema `json:"schemas"`
		} `json:"components"`
		Tags []struct {
			Name        string `json:"name"`
			Description string `json:"description"`
		} `json:"tags"`
	}
	openAPIOperation struct {
		Tags        []string `json:"tags"`
		Summary     string   `json:"summary"`
		Description string   `json:"description"`
		ID          string   `json:"operationId"`
		Parameters  []struct {
			Name        string  `json:"name"`
			In          string  `json:"in"`
			Description string  `json:"description"`
			Required    bool    `json:"required"`
			Schema      *schema `json:"schema"`
		} `json:"parameters"`
		RequestBody struct {
			Content content `json:"content"`
		} `json:"requestBody"`
		Responses map[string]struct {
			Content content `json:"content"`
		} `json:"responses"`
	}
	content map[string]struct {
		Schema *schema `json:"schema"`
	}
	schema struct {
		Ref         string             `json:"$ref"`
		Type        any                `json:"type"`
		Format      string             `json:"format"`
		Description string             `json:"description"`
		Enum        []string           `json:"enum"`
		Items       *schema            `json:"items"`
		Properties  map[string]*schema `json:"properties"`
		Required    []string           `json:"required"`
	}
)

// newReference reads the specification and says in it where this deployment is.
func newReference(publicURL string) (*reference, error) {
	var spec openAPI
	if err := json.Unmarshal(specification, &spec); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	var whole map[string]any
	if err := json.Unmarshal(specification, &whole); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	whole["info"] = map[string]any{"title": "Roster", "version": "v1", "description": "Organization membership: people, invitations, roles, seats. Errors: " + publicURL + "/docs/errors"}
	whole["servers"] = []any{map[string]any{"url": publicURL}}
	text, err := json.MarshalIndent(whole, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	return &reference{JSON: text, Groups: spec.groups(), Types: spec.types()}, nil
}

func (o openAPI) groups() (groups []group) {
	for _, tag := range o.Tags {
		g := group{Name: tag.Name, Summary: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
			for _, method := range slices.Sorted(maps.Keys(o.Paths[path])) {
				if op := o.Paths[path][method]; slices.Contains(op.Tags, tag.Name) {
					g.Operations = append(g.Operations, op.describe(strings.ToUpper(method), path))
				}
			}
		}
		if len(g.Operations) > 0 { // the others are for services
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b group) int { return cmp.Compare(a.Name, b.Name) })
	return groups
}

func (o openAPIOperation) describe(method, path string) operation {
	says := strings.TrimSpace(o.Summary + "\n\n" + o.Description)
	_, name, _ := strings.Cut(o.ID, "_")
	op := operation{
		ID: name, Method: method, Path: path, Summary: says, Reasons: reasonsIn(says),
		Body:   fieldsOf(o.RequestBody.Content["application/json"].Schema),
		Answer: typeOf(o.Responses["200"].Content["application/json"].Schema),
	}
	for _, p := range o.Parameters {
		op.Parameters = append(op.Parameters, field{p.Name, p.In, p.Description, typeOf(p.Schema), p.Required})
	}
	return op
}

// reasonsIn returns the reasons that a description names.
func reasonsIn(text string) (named []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }) {
		if _, ok := reasonsByName[word]; ok && !slices.Contains(named, word) {
			named = append(named, word)
		}
	}
	return named
}

func (o openAPI) types() (types []schemaType) {
	for _, name := range slices.Sorted(maps.Keys(o.Components.Schemas)) {
		s := o.Components.Schemas[name]
		types = append(types, schemaType{shortName(name), s.Description, s.Enum, fieldsOf(s)})
	}
	slices.SortStableFunc(types, func(a, b schemaType) int { return cmp.Compare(a.Name, b.Name) })
	return types
}

func fieldsOf(s *schema) (fields []field) {
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		fields = append(fields, field{Name: name, Summary: p.Description, Type: typeOf(p), Required: slices.Contains(s.Required, name)})
	}
	slices.SortStableFunc(fields, func(a, b field) int { // what must be given first
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return fields
}

func typeOf(s *schema) typeName {
	switch {
	case s == nil:
		return typeName{}
	case s.Ref != "":
		name := shortName(s.Ref)
		return typeName{name, "#" + name}
	case s.Items != nil:
		of := typeOf(s.Items)
		return typeName{"list of " + of.Text, of.Link}
	case s.Format != "":
		return typeName{Text: s.Format}
	case s.Type != nil:
		return typeName{Text: fmt.Sprint(s.Type)}
	}
	return typeName{Text: "any"}
}

// shortName drops the package: roster.membership.v1.Person.State is Person.State.
func shortName(full string) string {
	full = strings.TrimPrefix(full, "#/components/schemas/")
	parts := strings.Split(full, ".")
	for i, part := range parts {
		if part != "" && part[0] >= 'A' && part[0] <= 'Z' {
			return strings.Join(parts[i:], ".")
		}
	}
	return full
}

func (s *site) showReference(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "reference", view{Title: "API reference", Wide: true, Data: s.reference})
}

func (s *site) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.reference.JSON)
}

func (s *site) asyncAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(eventSpecification)
}
