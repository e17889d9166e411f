package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs certificates. Its own is in PEM form in cert.
type authority struct {
	key  *ecdsa.PrivateKey
	x509 *x509.Certificate
	cert []byte
}

func newAuthority(name string, now time.Time) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, err
	}
	template := certificate(name, now)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	parsed, err := x509.ParseCertificate(der)
	return authority{key, parsed, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// issue writes dir/name.crt and dir/name.key: good for both ends of TLS on this machine.
func (a authority) issue(dir, name string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificate(name, now)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.DNSNames = []string{"localhost"}
	der, err := x509.CreateCertificate(rand.Reader, template, a.x509, key.Public(), a.key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), cert, 0o600); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, name+".key"), key)
}

func certificate(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // the clock may be set back a little
		NotAfter:     now.AddDate(1, 0, 0),
	}
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// writePKI makes what the API server needs in dir and returns the certificate (PEM) that its clients trust:
// apiserver.{crt,key}; front-proxy-ca.crt and front-proxy-client.{crt,key}, by which it vouches for users to aggregated API servers;
// service-account.key, which signs and verifies service account tokens.
func writePKI(dir string, now time.Time) (trust []byte, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make certificates in %s: %w", dir, err)
		}
	}()
	serving, err := newAuthority("flyball-controlplane", now)
	if err != nil {
		return nil, err
	}
	if err := serving.issue(dir, "apiserver", now); err != nil {
		return nil, err
	}
	frontProxy, err := newAuthority("front-proxy-ca", now)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "front-proxy-ca.crt"), frontProxy.cert, 0o600); err != nil {
		return nil, err
	}
	if err := frontProxy.issue(dir, "front-proxy-client", now); err != nil {
		return nil, err
	}
	serviceAccounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return serving.cert, writeKey(filepath.Join(dir, "service-account.key"), serviceAccounts)
}
