/// Addresses as the API has them: host:port, [v6 host]:port.
module internal Regatta.Toxiproxy.Server.Address

open System
open System.Net
open System.Net.Sockets

/// Host and port, or what is wrong.
let split (address: string) =
    let colon = address.LastIndexOf ':'
    let host = if colon < 0 then "" else address.Substring(0, colon)
    let bracketed = host.StartsWith '[' && host.EndsWith ']'

    if colon < 0 then
        Error $"address {address}: missing port in address"
    elif host.Contains ':' && not bracketed then
        Error $"address {address}: too many colons in address"
    else
        match UInt16.TryParse(address.AsSpan(colon + 1)) with
        | true, port -> Ok((if bracketed then host.Substring(1, host.Length - 2) else host), int port)
        | _ -> Error $"address {address}: invalid port"

/// Where to listen. No host is loopback, and so is no address at all, with a port that the system chooses.
let resolveAsync (address: string) =
    task {
        match split (if address = "" then ":0" else address) with
        | Error why -> return Error why
        | Ok("", port) -> return Ok(IPEndPoint(IPAddress.Loopback, port))
        | Ok(host, port) ->
            try
                let! found = Dns.GetHostAddressesAsync host
                let ofV4 = found |> Array.tryFind (fun ip -> ip.AddressFamily = AddressFamily.InterNetwork)
                return Ok(IPEndPoint(defaultArg ofV4 found[0], port))
            with
            | :? SocketException
            | :? ArgumentException -> return Error $"lookup {host}: no such host"
    }
