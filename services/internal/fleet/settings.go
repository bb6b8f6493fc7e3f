package fleet

import (
	"net/url"
	"strings"
)

// settings is the environment of a role's process.
func (f *Fleet) settings(p *Process) ([]string, error) {
	var wrong error
	through := func(to, address string) string {
		if f.config.Through == nil {
			return address
		}
		other, err := f.config.Through(p.Name, to, address)
		if err != nil {
			wrong = err
		}
		return other
	}
	at := f.at[p.Name]
	own := map[string]string{
		"ADMIN":      at.admin,
		"PUBLIC_URL": f.URL,
		"LINGER":     "2s", // clients of this machine notice at once, and are back at a copy that has just started
		"NATS_URL":   "tls://" + through("nats", strings.TrimPrefix(f.NATS, "tls://")),
		"TLS_CA":     f.path("certs/ca.pem"),
		"TLS_CERT":   f.path("certs/" + p.Role + ".pem"),
		"TLS_KEY":    f.path("certs/" + p.Role + ".key"),
	}
	for _, service := range Services {
		var list []string
		for _, other := range f.Of(service) {
			list = append(list, through(other.Name, f.at[other.Name].internal))
		}
		own[strings.ToUpper(service)] = strings.Join(list, ",")
	}
	if p.Role == "gateway" {
		own["HTTP"] = at.web
	} else {
		own["LISTEN"] = at.internal
		own["PUBLIC_LISTEN"] = at.public
		own["DATABASE_URL"] = (&url.URL{
			Scheme: "postgres", User: url.UserPassword(p.Role, f.password), Host: through("postgres", f.Postgres.Address()),
			Path: p.Role, RawQuery: "sslmode=disable",
		}).String()
		own["NATS_REPLICAS"] = "1"
		own["KEY_FILE"] = f.path(p.Role + ".secret")
		own["SMTP_ADDR"] = through("mail", f.Mail.Addr())
		own["SMTP_TLS"] = "none"
	}
	if p.Role == "identity" {
		own["ATTEMPTS"] = "0" // all the world is at one address
	}
	var env []string
	for name, value := range own {
		env = append(env, "ROSTER_"+name+"="+value)
	}
	return env, wrong
}
