package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The files that ensurePKI leaves in the working directory.
const (
	caFile                = "pki/ca.crt"
	serverCertFile        = "pki/apiserver.crt"
	serverKeyFile         = "pki/apiserver.key"
	adminCertFile         = "pki/admin.crt"
	adminKeyFile          = "pki/admin.key"
	serviceAccountKeyFile = "pki/service-account.key"
)

const validity = 10 * 365 * 24 * time.Hour

// ensurePKI makes the certificates and keys unless an earlier start did. The
// authority's own key is not kept.
func ensurePKI() error {
	if _, err := os.Stat(serviceAccountKeyFile); err == nil {
		return nil
	}
	if err := os.MkdirAll("pki", 0o700); err != nil {
		return err
	}
	caKey, err := newKey()
	if err != nil {
		return err
	}
	ca, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "controlplane-ca"}, caKey)
	if err != nil {
		return err
	}
	if err := cert.WriteCert(caFile, encodeCert(ca.Raw)); err != nil {
		return err
	}
	if err := issue(ca, caKey, serverCertFile, serverKeyFile, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		// The second is the Service "kubernetes" as pods on a node see it.
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
	}); err != nil {
		return err
	}
	if err := issue(ca, caKey, adminCertFile, adminKeyFile, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	return writeKey(serviceAccountKeyFile, key) // last: it marks the set as whole
}

// issue signs a certificate for a new key and writes both.
func issue(ca *x509.Certificate, caKey crypto.Signer, certFile, keyFile string, template *x509.Certificate) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64)); err != nil {
		return err
	}
	template.NotBefore, template.NotAfter = ca.NotBefore, time.Now().Add(validity)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	if err := cert.WriteCert(certFile, encodeCert(der)); err != nil {
		return err
	}
	return writeKey(keyFile, key)
}

// adminConfig is a self-contained kubeconfig for the cluster's administrator.
func adminConfig(server string) (*api.Config, error) {
	config := api.NewConfig()
	cluster, user := api.NewCluster(), api.NewAuthInfo()
	cluster.Server = server
	for file, field := range map[string]*[]byte{
		caFile:        &cluster.CertificateAuthorityData,
		adminCertFile: &user.ClientCertificateData,
		adminKeyFile:  &user.ClientKeyData,
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		*field = data
	}
	config.Clusters["controlplane"] = cluster
	config.AuthInfos["admin"] = user
	config.Contexts["controlplane"] = &api.Context{Cluster: "controlplane", AuthInfo: "admin", Namespace: "default"}
	config.CurrentContext = "controlplane"
	return config, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func writeKey(file string, key *ecdsa.PrivateKey) error {
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	return keyutil.WriteKey(file, data)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})
}
