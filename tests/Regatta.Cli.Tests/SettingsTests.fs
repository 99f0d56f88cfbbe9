module SettingsTests

open System
open System.Collections.Generic
open System.IO
open System.Text.RegularExpressions
open Expecto
open Regatta.Cli
open Regatta.Node

let private environment (pairs: (string * string) list) =
    let variables = Dictionary<string, string>()

    for name, value in pairs do
        variables[name] <- value

    EnvironmentSettings.Read variables

let private flags (pairs: (string * string) list) =
    SettingsLayer([| for name, value in pairs -> Setting(name, value, "flag --" + name) |], [||])

let private yaml (lines: string list) = ConfigFile.Parse("node.yaml", String.concat "\n" lines)
let private json (text: string) = ConfigFile.Parse("node.json", text)

let private found (layer: SettingsLayer) = [ for setting in layer.Settings -> setting.Name, setting.Text ]

let private resolve (layers: SettingsLayer list) = EffectiveSettings.Resolve(NodeOptions(), Array.ofList layers)

let private expectError (part: string) (layer: SettingsLayer) =
    Expect.exists layer.Errors (fun error -> error.Contains part) $"%A{List.ofSeq layer.Errors} should say {part}"

let private dataDir = flags [ "data-dir", "/somewhere" ]

let private precedence =
    testList
        "Of several sources"
        [ testCase "a flag goes before the environment, the environment before the file, the file before the default" (fun () ->
              let file = yaml [ "raft.node-id: 2"; "log-level: WARN"; "memberlist.cluster-name: f" ]
              let variables = environment [ "REGATTA_RAFT_NODE_ID", "3"; "REGATTA_LOG_LEVEL", "ERROR" ]
              let settings = resolve [ file; variables; flags [ "raft.node-id", "4"; "data-dir", "/d" ] ]
              Expect.isEmpty settings.Errors "errors"
              Expect.equal settings.Options.RaftNodeId 4L "flag"
              Expect.equal settings.Options.LogLevel Microsoft.Extensions.Logging.LogLevel.Error "environment"
              Expect.equal settings.Options.ClusterName "f" "file"
              Expect.equal settings.Options.MaxIterations 64L "default"
              Expect.equal (settings.SourceOf "raft.node-id") "flag --raft.node-id" "source: flag"
              Expect.equal (settings.SourceOf "log-level") "environment variable REGATTA_LOG_LEVEL" "source: environment"
              Expect.equal (settings.SourceOf "memberlist.cluster-name") "node.yaml, line 3" "source: file"
              Expect.equal (settings.SourceOf "limits.max-iterations") "default" "source: default")

          testCase "each is checked, even where another one wins" (fun () ->
              let settings = resolve [ yaml [ "raft.node-id: many" ]; dataDir; flags [ "raft.node-id", "4" ] ]

              Expect.exists
                  settings.Errors
                  (fun error -> error.StartsWith "node.yaml, line 1: raft.node-id must be")
                  "names place and option")

          testCase "rules between options hold for the outcome" (fun () ->
              let settings = resolve [ yaml [ "limits.max-key-bytes: 2" ]; flags [ "limits.max-value-bytes", "8MiB" ]; dataDir ]
              Expect.exists settings.Errors (fun error -> error.Contains "limits.max-request-bytes must be at least") "limits contradict"
              Expect.exists (resolve []).Errors (fun error -> error.Contains "data-dir must be set") "data-dir") ]

let private files =
    testList
        "A configuration file"
        [ testCase "has options under their full names or nested, in YAML and in JSON alike" (fun () ->
              let expected =
                  [ "data-dir", "/d"
                    "api.address", "http://127.0.0.1:1"
                    "api.default-deadline", "2s"
                    "tables.enabled", "false"
                    "tables.names", "a,b"
                    "raft.initial-members", "1=h:1,2=h:2" ]

              yaml
                  [ "# a comment"
                    "data-dir: /d"
                    "api:"
                    "  address: http://127.0.0.1:1"
                    "  default-deadline: 2s"
                    "tables.enabled: false"
                    "tables: {names: [a, b]}"
                    "raft.initial-members:"
                    "  1: h:1"
                    "  2: h:2" ]
              |> fun layer -> Expect.equal (found layer, List.ofSeq layer.Errors) (expected, []) "YAML"

              json
                  """{"data-dir": "/d", "api": {"address": "http://127.0.0.1:1", "default-deadline": "2s"}, "tables.enabled": false,
                      "tables": {"names": ["a", "b"]}, "raft": {"initial-members": {"1": "h:1", "2": "h:2"}}}"""
              |> fun layer -> Expect.equal (found layer, List.ofSeq layer.Errors) (expected, []) "JSON")

          testCase "of docs/quickstart.md makes a node of a site of three" (fun () ->
              let rec repository (directory: DirectoryInfo) =
                  if File.Exists(Path.Combine(directory.FullName, "Regatta.sln")) then
                      directory.FullName
                  else
                      repository (nonNull directory.Parent)

              let text = File.ReadAllText(Path.Combine(repository (DirectoryInfo AppContext.BaseDirectory), "docs", "quickstart.md"))
              let examples = Regex.Matches(text, "```yaml\n(.*?)```", RegexOptions.Singleline)
              Expect.hasLength examples 2 "examples"

              for example in examples do
                  let settings = resolve [ ConfigFile.Parse("node.yaml", example.Groups[1].Value) ]
                  Expect.isEmpty settings.Errors example.Value
                  Expect.hasLength settings.Options.Members 3 "nodes")

          testCase "may be empty" (fun () -> Expect.equal (found (yaml []), found (json "{}")) ([], []) "nothing")

          testCase "with an unknown key is refused, and the nearest key is named" (fun () ->
              expectError
                  "node.yaml, line 2: api.adress is not an option; did you mean api.address?"
                  (yaml [ "log-level: INFO"; "api.adress: x" ])

              expectError "api.adress is not an option; did you mean api.address?" (yaml [ "api:"; "  adress: x" ])
              expectError "apo is not an option" (yaml [ "apo:"; "  address: x" ])
              expectError "node.json: raft.nodeid is not an option; did you mean raft.node-id?" (json """{"raft": {"nodeid": 1}}"""))

          testCase "that gives an option twice, or without a value, or of the wrong shape, is refused" (fun () ->
              expectError
                  "already given in node.yaml, line 1"
                  (yaml [ "api.address: http://127.0.0.1:1"; "api:"; "  address: http://127.0.0.1:2" ])

              expectError "node.yaml, line 2" (yaml [ "data-dir: a"; "data-dir: b" ])
              expectError "not JSON" (json """{"data-dir": "a", "data-dir": "b"}""")
              expectError "data-dir must have one value" (yaml [ "data-dir:" ])
              expectError "data-dir must have one value" (yaml [ "data-dir: [a]" ])
              expectError "data-dir must have one value" (yaml [ "data-dir: {a: b}" ])
              expectError "tables.names must have a value, or a list" (yaml [ "tables.names: [[a]]" ])
              expectError "tables.names must have a value, or a list" (yaml [ "tables.names: ['a,b']" ]))

          testCase "that is no YAML or JSON is refused with its line" (fun () ->
              expectError "node.yaml, line 2" (yaml [ "data-dir: a"; "  b: [" ])
              expectError "node.json, line 2" (json "{\n,")
              expectError "must be a map" (yaml [ "- a" ])
              expectError "must end in .yaml" (ConfigFile.Parse("node.toml", ""))
              expectError "cannot be read" (ConfigFile.Read "/nowhere/node.yaml")) ]

let private variables =
    testList
        "The environment"
        [ testCase "has every option under its name, in upper case" (fun () ->
              for option in OptionCatalog.All do
                  let name = "REGATTA_" + option.Name.ToUpperInvariant().Replace('.', '_').Replace('-', '_')
                  Expect.equal (found (environment [ name, "x" ])) [ option.Name, "x" ] name)

          testCase "with an unknown REGATTA_ variable is refused, and the nearest one is named" (fun () ->
              expectError
                  "REGATTA_API_ADRESS is not an option; did you mean REGATTA_API_ADDRESS?"
                  (environment [ "REGATTA_API_ADRESS", "x" ])

              expectError "REGATTA_ is not an option" (environment [ "REGATTA_", "x" ]))

          testCase "may hold what is meant for clients, what Kubernetes puts there, and anything of others" (fun () ->
              let layer =
                  environment
                      [ "REGATTA_ENDPOINTS", "h:1"
                        "REGATTA_TABLE", "t"
                        "REGATTA_SERVICE_HOST", "10.0.0.1"
                        "REGATTA_SERVICE_PORT", "8443"
                        "REGATTA_SERVICE_PORT_GRPC", "8443"
                        "REGATTA_PORT", "tcp://10.0.0.1:8443"
                        "REGATTA_PORT_8443_TCP", "tcp://10.0.0.1:8443"
                        "REGATTA_PORT_8443_TCP_ADDR", "10.0.0.1"
                        "REGATTA_LEADER_SERVICE_HOST", "10.0.0.2"
                        "REGATTA_LEADER_PORT_8443_TCP_PROTO", "tcp"
                        "PATH", "/bin" ]

              Expect.equal (found layer, List.ofSeq layer.Errors) ([], []) "nothing read, nothing refused") ]

let private printing =
    testList
        "--print-config"
        [ testCase "prints a file that gives the same options again" (fun () ->
              let settings =
                  resolve
                      [ yaml [ "raft.initial-members: {1: 'localhost:1'}"; "memberlist.node-name: 'a # b: \"c\"'"; "tables.names: [a, b]" ]
                        environment [ "REGATTA_LIMITS_MAX_VALUE_BYTES", "1MiB" ]
                        flags [ "data-dir", "/with blank/d"; "api.address", "http://[::1]:0" ] ]

              Expect.isEmpty settings.Errors "errors"
              let again = resolve [ ConfigFile.Parse("again.yaml", ConfigPrinter.Print settings) ]
              Expect.isEmpty again.Errors "errors of the printed file"

              Expect.equal
                  (List.ofSeq (OptionCatalog.Effective again.Options))
                  (List.ofSeq (OptionCatalog.Effective settings.Options))
                  "options")

          testCase "says where each value comes from and never prints a secret" (fun () ->
              let settings = resolve [ dataDir; environment [ "REGATTA_TABLES_TOKEN", "s3cret" ] ]
              let text = ConfigPrinter.Print settings
              Expect.stringContains text "data-dir: /somewhere  # flag --data-dir\n" "flag"
              Expect.stringContains text "log-level: INFO  # default\n" "default"
              Expect.stringContains text "# tables.token: " "masked, and not read back"
              Expect.isFalse (text.Contains "s3cret") "the secret")

          testCaseTask "is a way to run the leader command without a node" (fun () ->
              task {
                  let! result =
                      Run.withSetup
                          { Run.plain with Environment = [ "REGATTA_LOG_LEVEL", "WARN" ] }
                          [ "leader"; "--print-config"; "--data-dir"; "/d"; "--tables.enabled" ]

                  Expect.equal result.Code ExitCode.Ok "exit code"
                  Expect.stringContains result.Output "log-level: WARN  # environment variable REGATTA_LOG_LEVEL\n" "environment"
                  Expect.stringContains result.Output "tables.enabled: true  # flag --tables.enabled\n" "a flag alone is true"
              })

          testCaseTask "reports what is wrong all the same" (fun () ->
              task {
                  let! result = Run.regatta [ "leader"; "--print-config"; "--raft.node-id=x" ]
                  Expect.equal result.Code ExitCode.Usage "exit code"
                  Expect.stringContains result.Errors "regatta: flag --raft.node-id: raft.node-id must be a whole number" "the error"
                  Expect.stringContains result.Output "raft.node-id: 1  # default\n" "what would be in effect"
              })

          testCaseTask "takes the file from --config, and --config goes before REGATTA_CONFIG" (fun () ->
              task {
                  let directory = Directory.CreateTempSubdirectory "regatta-cli-"

                  try
                      let write (name: string) (text: string) =
                          let path = Path.Combine(directory.FullName, name)
                          File.WriteAllText(path, text)
                          path

                      let one = write "one.yaml" "memberlist.cluster-name: one\ndata-dir: /d\n"
                      let two = write "two.json" """{"memberlist.cluster-name": "two", "data-dir": "/d"}"""
                      let setup = { Run.plain with Environment = [ "REGATTA_CONFIG", one ] }
                      let! fromEnvironment = Run.withSetup setup [ "leader"; "--print-config" ]
                      Expect.stringContains fromEnvironment.Output $"memberlist.cluster-name: one  # {one}, line 1\n" "REGATTA_CONFIG"
                      let! fromFlag = Run.withSetup setup [ "leader"; "--print-config"; "--config"; two ]
                      Expect.stringContains fromFlag.Output $"memberlist.cluster-name: two  # {two}\n" "--config"
                  finally
                      directory.Delete true
              }) ]

let all = testList "settings" [ precedence; files; variables; printing ]
