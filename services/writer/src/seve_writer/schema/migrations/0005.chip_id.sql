-- The serial number of the chip that a module's system configuration names: another one is another device, or another board.
ALTER TABLE device_system_status ADD COLUMN chip_id text;
