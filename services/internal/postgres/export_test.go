package postgres

import "time"

// ProvedSince is from when on the server has been proved to be the primary; zero: it has not.
func (db *DB) ProvedSince() time.Time {
	if p := db.proof.Load(); p != nil {
		return p.sent
	}
	return time.Time{}
}
