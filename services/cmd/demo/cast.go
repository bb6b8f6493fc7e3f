package main

import membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

// password is everybody's.
const password = "plum harbor violin quartz"

// person is somebody, in one organization or several.
type person struct {
	name, email string
	username    string // in organizations that ask for one
}

// end is how an invitation of the demo ends.
type end int

const (
	joins end = iota
	disabled
	pending
	declined
	revoked
)

// part is somebody's in an organization.
type part struct {
	person
	role string
	end  end
}

// organization is one of the demo.
type organization struct {
	name    string
	preset  membershipv1.Preset
	about   string
	founder person
	parts   []part
	full    bool // its seats are limited to those that are taken
}

// People who are in two organizations.
var (
	luca    = person{name: "Luca Moretti", email: "luca@bilbis.example", username: "luca"}
	eleanor = person{name: "Eleanor Whitfield", email: "eleanor@northwind.example"}
	daniel  = person{name: "Daniel Kim", email: "daniel@northwind.example"}
)

var cast = []organization{
	{
		name: "Bilbis Pipelines", preset: membershipv1.Preset_PRESET_PIPELINE,
		about:   "usernames, developers, invitations by link",
		founder: person{name: "Maya Okonkwo", email: "maya@bilbis.example"},
		parts: []part{
			{person{"Tomás Herrera", "tomas@bilbis.example", "tomas"}, "admin", joins},
			{person{"Ingrid Solheim", "ingrid@bilbis.example", "ingrid"}, "developer", joins},
			{person{"Zhang Wei", "", "zhangwei"}, "developer", joins}, // no address: the link is passed on by hand
			{luca, "viewer", joins},
			{person{"Aisha Rahman", "aisha@bilbis.example", "aisha"}, "developer", disabled},
			{person{"Priya Natarajan", "priya@bilbis.example", "priya"}, "developer", pending},
			{person{"Kofi Mensah", "", "kofi"}, "viewer", pending},
			{person{"Hannah Weiß", "hannah@contractors.example", "hannah"}, "developer", declined},
			{person{"Dmytro Bondarenko", "dmytro@contractors.example", "dmytro"}, "admin", revoked},
		},
	},
	{
		name: "Northwind Portal", preset: membershipv1.Preset_PRESET_PORTAL,
		about:   "one owner, who alone appoints admins",
		founder: eleanor, full: true,
		parts: []part{
			{daniel, "admin", joins},
			{person{"Fatima al-Sayed", "fatima@northwind.example", ""}, "member", joins},
			{person{"Jonas Lindqvist", "jonas@northwind.example", ""}, "member", joins},
			{luca, "member", joins},
			{person{"Marisol Vega", "marisol@northwind.example", ""}, "member", disabled},
			{person{"Oluwaseun Adeyemi", "seun@northwind.example", ""}, "member", pending},
			{person{"Gráinne O'Connor", "grainne@partners.example", ""}, "member", declined},
		},
	},
	{
		name: "Harbor On-Call", preset: membershipv1.Preset_PRESET_RBAC,
		about:   "who is disabled here cannot sign in at all",
		founder: person{name: "Sofia Papadopoulou", email: "sofia@harbor.example"},
		parts: []part{
			{person{"Ravi Deshmukh", "ravi@harbor.example", ""}, "admin", joins},
			{person{"Chloé Dubois", "chloe@harbor.example", ""}, "member", joins},
			{person{"Mateusz Kowalski", "mateusz@harbor.example", ""}, "member", joins},
			{person{"Tanaka Yuki", "yuki@harbor.example", ""}, "member", joins},
			{daniel, "member", joins},
			{person{"Nadia Haddad", "nadia@harbor.example", ""}, "member", disabled},
			{person{"Ben Carter", "ben@harbor.example", ""}, "member", pending},
			{person{"Lars Petersen", "lars@partners.example", ""}, "admin", revoked},
		},
	},
	{
		name: "Kestrel Cloud", preset: membershipv1.Preset_PRESET_FLAT,
		about:   "no owner, every member can do everything; who is removed gets a mail",
		founder: person{name: "Amara Diallo", email: "amara@kestrel.example"},
		parts: []part{
			{person{"Noah Fischer", "noah@kestrel.example", ""}, "member", joins},
			{person{"Isabela Santos", "isabela@kestrel.example", ""}, "member", joins},
			{person{"Henrik Johansen", "henrik@kestrel.example", ""}, "member", joins},
			{person{"Mei-Ling Chen", "meiling@kestrel.example", ""}, "member", joins},
			{eleanor, "member", joins},
			{person{"Samuel Green", "samuel@kestrel.example", ""}, "member", disabled},
			{person{"Zofia Nowak", "zofia@kestrel.example", ""}, "member", pending},
			{person{"Arjun Patel", "arjun@partners.example", ""}, "member", declined},
		},
	},
}
