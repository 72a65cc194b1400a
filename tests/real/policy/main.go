// Policy says whether podman and CRI-O would run an image: their own library reads its signatures
// and a policy (containers-policy.json).
//
// usage: policy POLICY REGISTRIES.D IMAGE
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/types"
)

func main() {
	if err := check(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(policyFile, registriesDir, name string) error {
	ctx := context.Background()
	system := &types.SystemContext{
		RegistriesDirPath:           registriesDir,
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
	}
	policy, err := signature.NewPolicyFromFile(policyFile)
	if err != nil {
		return err
	}
	decides, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer decides.Destroy()
	reference, err := docker.ParseReference("//" + name)
	if err != nil {
		return err
	}
	source, err := reference.NewImageSource(ctx, system)
	if err != nil {
		return err
	}
	defer source.Close()
	_, err = decides.IsRunningImageAllowed(ctx, image.UnparsedInstance(source, nil))
	return err
}
