package model

// answer is a stored answer.
type answer uint8

const (
	none answer = iota
	yes
	no
)

// canSignIn tells whether Bob has an account. Where accounts are not in the scope, he always has one.
func (sc scope) canSignIn(w world) bool {
	return !sc.newAccount || w.signedUp || w.creation == yes
}

// identity makes accounts. Its answer for an account id never changes.
func (sc scope) identity(w world, take func(world, string, ...any)) {
	if !sc.newAccount {
		return
	}
	if w.creation != yes && !w.signedUp {
		to := w
		to.signedUp = true
		take(to, "Bob signs up by himself, with the invited address")
	}
	if w.sent.createAccount {
		to := w
		if w.creation == none {
			to.creation = yes
			if w.signedUp {
				to.creation = no
			}
		}
		if to.creation == yes {
			to.heard.created = true
		} else {
			to.heard.notCreated = true
		}
		take(to, "identity answers CreateAccount")
	}
}
