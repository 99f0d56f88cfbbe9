namespace Regatta.Toxiproxy.Server

open System.Text

/// A reply of the API.
type internal Answer = { Status: int; ContentType: string option; Body: byte array }

module internal Answer =
    let private plainText = "text/plain; charset=utf-8"

    let json status body = { Status = status; ContentType = Some "application/json"; Body = body }
    let empty status = { Status = status; ContentType = None; Body = [||] }

    let text status (line: string) =
        { Status = status
          ContentType = Some plainText
          Body = Encoding.UTF8.GetBytes(line + "\n") }

    /// JSON it is, but the original says text.
    let refusal (value: Refusal) =
        { Status = value.Status
          ContentType = Some plainText
          Body = Array.append (Reply.refusal value) "\n"B }

    let version value =
        { json 200 (Reply.version value) with
            ContentType = Some "application/json;charset=utf-8" }

    /// The refusals of this one are JSON by name, too.
    let populated (proxies, failed: Refusal option) =
        let status = failed |> Option.map _.Status |> Option.defaultValue 201
        json status (Reply.populated proxies failed)

    let ofResult (onOk: 'a -> Answer) result =
        match result with
        | Ok value -> onOk value
        | Error value -> refusal value
