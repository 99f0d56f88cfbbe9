namespace Regatta.Toxiproxy.Server

open System
open System.Threading.Tasks

/// The API: which request does what. Its callers call it one at a time.
[<Sealed>]
type internal Routes(proxies: Proxies, version: string) =
    let now answer = Task.FromResult<Answer> answer
    let proxyJson status = Reply.proxy >> Answer.json status
    let toxicJson = Reply.toxic >> Answer.json 200

    let onProxy name (handle: Proxy -> Task<Answer>) =
        match proxies.Find name with
        | Ok proxy -> handle proxy
        | Error refusal -> now (Answer.refusal refusal)

    let onToxic name toxic (handle: Proxy -> Toxic -> Answer) =
        onProxy name (fun proxy ->
            match proxy.Toxics.Find toxic with
            | Some toxic -> now (handle proxy toxic)
            | None -> now (Answer.refusal Refusal.toxicNotFound))

    let create body =
        task {
            let! created = Requests.proxyToCreate body |> bindAsync proxies.CreateAsync
            return Answer.ofResult (proxyJson 201) created
        }

    let updateProxy body (proxy: Proxy) =
        task {
            let! updated = Requests.proxyUpdate proxy body |> bindAsync proxy.UpdateAsync
            return Answer.ofResult (fun () -> proxyJson 200 proxy) updated
        }

    let deleteProxy proxy =
        task {
            do! proxies.RemoveAsync proxy
            return Answer.empty 204
        }

    let populate body =
        task {
            match Requests.proxiesToPopulate body with
            | Error refusal -> return Answer.populated ([], Some refusal)
            | Ok inputs ->
                let! outcome = proxies.PopulateAsync inputs
                return Answer.populated outcome
        }

    let reset () =
        task {
            let! outcome = proxies.ResetAsync()
            return Answer.ofResult (fun () -> Answer.empty 204) outcome
        }

    let addToxic body (proxy: Proxy) =
        let exists name = (proxy.Toxics.Find name).IsSome

        Requests.toxicToAdd exists body
        |> Answer.ofResult (fun toxic ->
            proxy.Toxics.Add toxic
            toxicJson toxic)
        |> now

    let updateToxic body (proxy: Proxy) toxic =
        Requests.toxicUpdate toxic body
        |> Answer.ofResult (fun updated ->
            proxy.Toxics.Change updated
            toxicJson updated)

    let removeToxic (proxy: Proxy) (toxic: Toxic) =
        proxy.Toxics.Remove toxic
        Answer.empty 204

    /// The methods of a path, each with what it does. None when there is no such path.
    let methods (path: string list) : (string * (byte array -> Task<Answer>)) list option =
        match path with
        | [ "version" ] -> Some [ "GET", (fun _ -> now (Answer.version version)) ]
        | [ "reset" ] -> Some [ "POST", (fun _ -> reset ()) ]
        | [ "populate" ] -> Some [ "POST", populate ]
        | [ "proxies" ] -> Some [ "GET", (fun _ -> now (Answer.json 200 (Reply.proxies proxies.All))); "POST", create ]
        | [ "proxies"; name ] when name <> "" ->
            let update body = onProxy name (updateProxy body)

            Some
                [ "GET", (fun _ -> onProxy name (proxyJson 200 >> now))
                  "POST", update
                  "PATCH", update
                  "DELETE", (fun _ -> onProxy name deleteProxy) ]
        | [ "proxies"; name; "toxics" ] when name <> "" ->
            Some
                [ "GET", (fun _ -> onProxy name (fun proxy -> now (Answer.json 200 (Reply.toxics proxy.Toxics.All))))
                  "POST", (fun body -> onProxy name (addToxic body)) ]
        | [ "proxies"; name; "toxics"; toxic ] when name <> "" && toxic <> "" ->
            let update body = onToxic name toxic (updateToxic body)

            Some
                [ "GET", (fun _ -> onToxic name toxic (fun _ found -> toxicJson found))
                  "POST", update
                  "PATCH", update
                  "DELETE", (fun _ -> onToxic name toxic removeToxic) ]
        | _ -> None

    /// `path` is the request's path, decoded and split at its slashes.
    member _.AnswerAsync(method: string, path: string list, userAgent: string, body: byte array) =
        match methods path with
        | None -> now (Answer.text 404 "404 page not found")
        | Some offered ->
            match List.tryFind (fun (name, _) -> name = method) offered with
            | None -> now (Answer.empty 405)
            // The original keeps web pages from using the API of whoever looks at them.
            | Some _ when userAgent.StartsWith("Mozilla/", StringComparison.Ordinal) -> now (Answer.text 403 "User agent not allowed")
            | Some(_, handle) -> handle body
