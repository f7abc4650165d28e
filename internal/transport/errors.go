package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// Error is for a user: what is wrong in a sentence, and the fix where there is one.
type Error struct {
	Problem string
	Hint    string // empty when there is none
	Err     error  // the cause, already told in Problem
}

func (e *Error) Error() string { return e.Problem }
func (e *Error) Unwrap() error { return e.Err }

// Lost says that a connection that had been made has broken: a request on it may or may not have been carried out, and
// asking again makes another connection.
func Lost(err error) bool {
	var closed *quic.ApplicationError
	var reset *quic.StatelessResetError
	var idle *quic.IdleTimeoutError
	return errors.As(err, &closed) || errors.As(err, &reset) || errors.As(err, &idle)
}

// Alerts of TLS that tell whose certificate was refused and why (RFC 8446, section 6).
const (
	alertBadCertificate      = 42
	alertCertificateExpired  = 45
	alertUnknownCA           = 48
	alertCertificateRequired = 116
	alertNoProtocol          = 120
)

const sameCluster = "both sides need certificates of the same cluster: see wasmill cluster init"

// explain turns what quic-go and TLS say of the connection to the peer into what a user can act on.
func explain(peer string, err error) error {
	if err == nil {
		return nil
	}
	var stream *quic.StreamError
	if errors.As(err, &stream) && stream.Remote {
		return &ResetError{Code: StreamCode(stream.ErrorCode)}
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	say := func(hint, format string, args ...any) error {
		return &Error{Problem: peer + ": " + fmt.Sprintf(format, args...), Hint: hint, Err: err}
	}
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) {
		return refusedTheirs(peer, verify)
	}
	var transport *quic.TransportError
	if errors.As(err, &transport) && transport.ErrorCode.IsCryptoError() {
		return refused(peer, transport)
	}
	var closed *quic.ApplicationError
	var reset *quic.StatelessResetError
	var idle *quic.IdleTimeoutError
	var handshake *quic.HandshakeTimeoutError
	switch {
	case errors.As(err, &closed) && closed.Remote:
		return say("", "closed the connection: %s", closed.ErrorMessage)
	case errors.As(err, &reset):
		return say("", "its process has been restarted")
	case errors.As(err, &handshake):
		return say("is the process running, and is UDP let through to its port?", "does not answer")
	case errors.As(err, &idle):
		return say("", "has not answered for %s", idleTimeout)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return say("", "did not answer in time")
	}
	return fmt.Errorf("%s: %w", peer, err)
}

// refusedTheirs is about the peer's certificate.
func refusedTheirs(peer string, err *tls.CertificateVerificationError) error {
	var stranger x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &stranger):
		return &Error{Problem: peer + ": its certificate is from another cluster's CA", Hint: sameCluster, Err: err}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		problem := fmt.Sprintf("%s: its certificate is valid from %s to %s only", peer,
			invalid.Cert.NotBefore.Format(time.DateOnly), invalid.Cert.NotAfter.Format(time.DateOnly))
		return &Error{Problem: problem, Hint: "issue a new one from the cluster's CA, and restart that process", Err: err}
	}
	return &Error{Problem: peer + ": its certificate is not one of a Wasmill cluster", Hint: sameCluster, Err: err}
}

// refused is about the handshake as TLS ended it, mostly the peer's word on our certificate.
func refused(peer string, err *quic.TransportError) error {
	alert := int(err.ErrorCode) & 0xff
	if !err.Remote {
		return &Error{Problem: fmt.Sprintf("%s: handshake: %s", peer, err.ErrorMessage), Hint: sameCluster, Err: err}
	}
	problem, hint := "refused the handshake: "+tls.AlertError(alert).Error(), sameCluster
	switch alert {
	case alertUnknownCA:
		problem = "refused our certificate: it is from another cluster's CA"
	case alertCertificateExpired:
		problem, hint = "refused our certificate: it has expired", "issue a new one from the cluster's CA"
	case alertCertificateRequired:
		problem = "refused us: we showed no certificate"
	case alertBadCertificate:
		problem = "refused our certificate"
	case alertNoProtocol:
		problem, hint = "speaks another protocol than this version of Wasmill", "is it the right port?"
	}
	return &Error{Problem: peer + " " + problem, Hint: hint, Err: err}
}
