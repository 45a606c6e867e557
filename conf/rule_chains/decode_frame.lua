-- Six bytes: status, temperature in hundredths (signed), humidity, flags (bit 1: door is open).
if msg.fPort ~= 2 then return nil end
local b = base64.decode(msg.payload)
if #b < 6 then error("short frame: " .. #b .. " bytes") end
local flags = bytes.u8(b, 5)
return { msg = {
  status = bytes.u8(b, 0),
  temperature = num.round(bytes.i16(b, 1) / 100, 2),
  humidity = bytes.u16(b, 3),
  doorOpen = bytes.bit(flags, 1) == 1,
} }
