{
  description = "Tastes a Co-op Cloud recipe before it is served";

  # A release branch: the compiler has to be the one that Cargo.toml asks for, or a newer one.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEach = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      workspace = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).workspace.package;
      # The sandbox's build script links the specimen statically. The archives are searched last: as a build input they
      # would come before the libraries that all else is linked to.
      linking = pkgs: { NIX_LDFLAGS_AFTER = "-L${pkgs.glibc.static}/lib"; };
      build =
        pkgs:
        pkgs.rustPlatform.buildRustPackage {
          pname = "taster";
          inherit (workspace) version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          nativeBuildInputs = [ pkgs.makeWrapper ];
          cargoBuildFlags = [ "--package=runner" ];
          env = linking pkgs;
          # The tests that count want a Docker engine, which a Nix build has not.
          doCheck = false;
          postInstall = ''
            wrapProgram $out/bin/taster --suffix PATH : ${lib.makeBinPath [ pkgs.git ]}
          '';
          meta = {
            description = "Tastes a Co-op Cloud recipe before it is served";
            license = lib.licenses.agpl3Plus;
            mainProgram = "taster";
            platforms = systems;
          };
        };
    in
    {
      packages = forEach (pkgs: rec {
        taster = default;
        default = build pkgs;
      });
      apps = forEach (pkgs: {
        default = {
          type = "app";
          program = lib.getExe (build pkgs);
        };
      });
      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.clippy
            pkgs.git
            pkgs.jq
            pkgs.mdbook
            pkgs.restic
            pkgs.rustc
            pkgs.rustfmt
          ];
          env = linking pkgs;
        };
      });
    };
}
