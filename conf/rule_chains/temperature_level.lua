-- Between 25 and 30 nothing changes, so a value that trembles around a limit does not ring twice.
local t = tonumber(msg.temperature)
if not t then return nil end
if t > 30 then return "High" elseif t < 25 then return "Normal" end
