package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Files of a cluster's directory. A machine needs the first three; whoever has the CA's key may let machines in.
const (
	caCertFile   = "ca.crt"
	nodeCertFile = "node.crt"
	nodeKeyFile  = "node.key"
	caKeyFile    = "ca.key"
)

// A CA outlives the machines it lets in. Certificates begin an hour early, for machines whose clocks run behind.
const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	nodeLifetime = 2 * 365 * 24 * time.Hour
	clockSkew    = time.Hour
)

// clusterName is in every certificate of every cluster, and what a client asks for: any machine of the cluster may answer
// at any address, so it is the CA, one per cluster, that tells friend from stranger.
const clusterName = "cluster.wasmill.internal"

// CA is a cluster's certificate authority: who has a certificate of it belongs to the cluster.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes an authority that exists in memory only.
func NewCA() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the CA's key: %w", err)
	}
	template, err := certificate("wasmill cluster", caLifetime)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the CA's certificate: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// InitCA makes an authority and writes it to dir (ca.crt, ca.key). An authority that is already there stays, and the
// error is fs.ErrExist: replacing it would shut out every machine of the cluster.
func InitCA(dir string) (*CA, error) {
	for _, name := range []string{caKeyFile, caCertFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil, &Error{
				Problem: fmt.Sprintf("make a CA in %s: %s is there already", dir, name),
				Hint:    "use it, or choose another directory",
				Err:     fs.ErrExist,
			}
		}
	}
	ca, err := NewCA()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("encode the CA's key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	if err := writePEM(dir, caKeyFile, "PRIVATE KEY", der); err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	if err := writePEM(dir, caCertFile, "CERTIFICATE", ca.cert.Raw); err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	return ca, nil
}

// LoadCA reads the authority that InitCA wrote to dir.
func LoadCA(dir string) (*CA, error) {
	pair, err := loadPair(dir, caCertFile, caKeyFile)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, &Error{Problem: fmt.Sprintf("load the CA in %s: %s is not a CA made by wasmill", dir, caCertFile)}
	}
	return &CA{cert: pair.Leaf, key: key}, nil
}

// Issue makes an identity for the machine or process of the given name.
func (ca *CA) Issue(name string) (*Identity, error) {
	return ca.issue(name, nodeLifetime)
}

// IssueTo makes an identity and writes it to dir (ca.crt, node.crt, node.key), for LoadIdentity. One that is there is
// replaced, as long as it is this CA's.
func (ca *CA) IssueTo(dir, name string) error {
	id, err := ca.Issue(name)
	if err != nil {
		return err
	}
	return id.store(dir, ca)
}

func (ca *CA) issue(name string, lifetime time.Duration) (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	template, err := certificate(name, lifetime)
	if err != nil {
		return nil, err
	}
	template.DNSNames = []string{clusterName}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	cert, err := sign(template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	return newIdentity(tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}, ca.cert), nil
}

func (id *Identity) store(dir string, ca *CA) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("issue an identity: %w", err)
	}
	if there, err := readCertificate(dir, caCertFile); err == nil && !there.Equal(ca.cert) {
		return &Error{
			Problem: fmt.Sprintf("issue an identity to %s: its %s is another cluster's", dir, caCertFile),
			Hint:    "choose another directory",
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(id.cert.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode the key of %s: %w", id.Name, err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{
		{caCertFile, "CERTIFICATE", ca.cert.Raw},
		{nodeKeyFile, "PRIVATE KEY", der},
		{nodeCertFile, "CERTIFICATE", id.cert.Certificate[0]},
	} {
		if err := writePEM(dir, f.name, f.kind, f.der); err != nil {
			return fmt.Errorf("issue an identity: %w", err)
		}
	}
	return nil
}

func certificate(name string, lifetime time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Wasmill"}},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(lifetime),
	}, nil
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// writePEM replaces the file in one step, so that a process that starts meanwhile reads the old or the new one. Only its
// owner may read it: half of these files are keys.
func writePEM(dir, name, kind string, der []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
